"""The walk: the best steps first, few points judged, and the preferred one within its budget taken."""

import itertools
import json

import pytest

from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.differences import Budget, OutputDifference
from wav2edge_export.export_options import PREFERENCES
from wav2edge_export.mixed_precision.frontier import (
    BYTES_PER_WEIGHT,
    PROBES,
    RANKS,
    Frontier,
    Point,
    levels_after,
    steps,
    total_divergence,
    walk,
)
from wav2edge_export.mixed_precision.frontier_plot import plot_frontier
from wav2edge_export.mixed_precision.sensitivity import Layer, Sensitivity
from wav2edge_export.quantization.recipes import LEVELS
from wav2edge_export.quantization.weight_matmuls import WeightMatMul


def sensitivity(name, weights, int4, int8):
    layer = Layer(name=name, matmuls=(WeightMatMul(name=f"{name}/MatMul", in_features=weights, out_features=1),))
    return Sensitivity(layer=layer, divergences={"int4": int4, "int8": int8})


LAYERS = [
    sensitivity("small and touchy", 100, 3.0, 0.4),
    sensitivity("large and touchy", 1000, 4.0, 0.3),
    sensitivity("large and calm", 1000, 0.02, 0.01),
    sensitivity("worse in eight bits", 300, 0.5, 0.9),  # one loud frame: per-clip scales lose what per-row ones keep
]


def size_bytes(levels):
    weights = {each.layer.name: each.layer.weights for each in LAYERS}
    return sum(weights[name] * BYTES_PER_WEIGHT[level] for name, level in levels.items())


@pytest.mark.parametrize("base", ["int4", "int8"])
def test_no_other_mixture_of_a_steps_size_diverges_less(base):
    """Against every mixture there is: each point of the ladder is on the lower hull of divergence over size."""
    ladder = steps(LAYERS, base)
    names = [each.layer.name for each in LAYERS]
    higher = LEVELS[LEVELS.index(base) :]
    every = [dict(zip(names, levels, strict=True)) for levels in itertools.product(higher, repeat=len(names))]
    for taken in range(len(ladder) + 1):
        levels = levels_after(ladder[:taken], LAYERS, base)
        reached, size = total_divergence(levels, LAYERS), size_bytes(levels)
        assert not [one for one in every if size_bytes(one) <= size and total_divergence(one, LAYERS) < reached - 1e-9]


@pytest.mark.parametrize("base", ["int4", "int8"])
def test_a_ladder_ends_in_floating_point_everywhere(base):
    assert set(levels_after(steps(LAYERS, base), LAYERS, base).values()) == {"float"}


def test_a_layer_that_eight_bits_make_worse_goes_from_four_bits_to_floating_point_at_once():
    levels = [step.level for step in steps(LAYERS, "int4") if step.layer == "worse in eight bits"]
    assert levels == ["float"]


@pytest.mark.parametrize("fewest", range(33))
def test_a_walk_finds_the_fewest_steps_that_keep_the_budget(fewest):
    judged = []

    def keeps_budget(taken):
        judged.append(taken)
        return taken >= fewest

    walk(32, keeps_budget, probes=8)
    passed = [taken for taken in judged if taken >= fewest]
    assert fewest == 32 or min(passed) == fewest  # thirty-two steps are fp32 itself, which needs no judge
    assert 32 not in judged
    assert len(judged) == len(set(judged)) <= 8


def test_a_walk_over_many_steps_is_bounded_and_looks_closely_at_the_first_ones():
    judged = []
    walk(500, lambda taken: bool(judged.append(taken)) or taken >= 6)
    assert len(judged) == PROBES
    assert min(taken for taken in judged if taken >= 6) <= 8
    refused = []
    walk(500, lambda taken: bool(refused.append(taken)))
    assert len(refused) == PROBES


def point(walk_from="int8", *, size=100, time=1.0, error=0.1, divergence=1.0, raised=0):
    grid = {"silence": OutputDifference(absolute_error=error, relative_error=error, frame_agreement=1.0)}
    return Point(
        walk=walk_from,
        raised=raised,
        levels={"a": "int8", "b": "int4"},
        divergence=divergence,
        size_bytes=size,
        relative_time=time,
        certificate=Certificate(precision="auto", budget=Budget(relative_error=0.25), signals=grid),
    )


def frontier(*points, prefer="fast"):
    return Frontier(
        prefer=prefer,
        clips_description="nothing",
        sensitivities=LAYERS,
        points=points,
        fp32_size_bytes=400,
        fp32_time_s=0.1,
    )


def test_of_the_points_within_budget_the_preferred_one_is_chosen():
    small, fast, forbidden = point(size=60, time=1.2), point(size=100, time=0.6), point(size=10, time=0.1, error=0.3)
    assert frontier(small, fast, forbidden, prefer="fast").chosen is fast
    assert frontier(small, fast, forbidden, prefer="small").chosen is small
    assert frontier(forbidden, small).nearest is small


def test_of_points_whose_times_no_measurement_tells_apart_the_smallest_is_the_fastest():
    large, lean = point(size=100, time=0.601), point(size=90, time=0.603)
    assert frontier(large, lean).chosen is lean


def test_every_preference_that_may_be_chosen_has_its_rank():
    assert list(RANKS) == list(PREFERENCES)


def test_a_point_over_budget_is_never_chosen_and_the_nearest_one_is_named_instead():
    far, near = point(error=0.9, divergence=2.0), point(error=float("nan"), divergence=0.5)
    assert frontier(far, near).chosen is None
    assert frontier(far, near).nearest is near


def test_the_frontier_is_a_table_and_strict_json_in_which_the_chosen_point_is_marked():
    walked = frontier(point(error=float("inf"), raised=0), point(size=50, raised=3), prefer="small")
    rows = walked.table().splitlines()[2:]
    assert [row.startswith("| * |") for row in rows] == [False, True]
    assert "relative error inf, 0.25 allowed" in rows[0]
    document = json.loads(json.dumps(walked.to_dict(), allow_nan=False))
    assert (document["prefer"], document["chosen"]) == ("small", 1)
    assert document["points"][0]["measured"]["relative_error"] is None
    assert document["sensitivities"][0]["divergence_nats"] == {"int4": 3.0, "int8": 0.4}


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    walked = frontier(point(), point("int4", size=70, time=1.3, error=0.3), point("int4", size=80, time=1.1, raised=2))
    plot_frontier(walked, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
