"""The search of `wav2edge tune`, with engines and a clock that are made up: what it chooses, and within which time."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from tests.runtime import tiny_bundle
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import Variant
from wav2edge.errors import UsageError
from wav2edge.evaluation.benchmark.tuning import choices, meters, tuning
from wav2edge.evaluation.benchmark.tuning.choices import allowed_variants, settings_to_try, thread_counts
from wav2edge.evaluation.benchmark.tuning.halving import Search
from wav2edge.inference.sessions.profiles.run_profile import RunSettings

VARIANT = Variant(file="onnx/model.onnx", precision="int8", operators="fused")
USUAL = RunSettings(variant="int8", threads=8)


class Bench:
    """A machine on which every setting takes a known time, times noise and drift, on a clock of its own."""

    def __init__(self, cost_s, *, noise: float = 0.0, drift: float = 0.0, load_s: float = 0.05) -> None:
        self.cost_s, self.noise, self.drift, self.load_s = cost_s, noise, drift, load_s
        self.now_s, self.open, self.most_open, self.dice = 0.0, 0, 0, random.Random(5)

    def clock(self) -> float:
        return self.now_s

    def __call__(self, settings: RunSettings):
        self.now_s += self.load_s
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        return Turn(self, settings)

    def take(self, settings: RunSettings) -> float:
        slower = 1 + self.drift * self.now_s
        took_s = self.cost_s(settings) * slower * (1 + abs(self.dice.gauss(0, self.noise)))
        self.now_s += 5 * took_s
        return took_s


class Turn:
    """What measures one setting, and holds it open."""

    def __init__(self, bench: Bench, settings: RunSettings) -> None:
        self.bench, self.settings = bench, settings

    def __call__(self) -> float:
        return self.bench.take(self.settings)

    def __del__(self) -> None:
        self.bench.open -= 1


def hidden_cost_s(settings: RunSettings) -> float:
    """The best are four threads that spin; more get in each other's way."""
    parallel = 4e-3 / min(settings.threads, 4) + 0.4e-3 * max(0, settings.threads - 4) + 1e-3
    return parallel * (0.85 if settings.spinning else 1.0) * (1.0 if settings.arena else 1.1)


def candidates(**options):
    return settings_to_try([VARIANT], USUAL, cores=8, logical=8, **options)


def search(bench: Bench, limit_s: float = 10.0, most_open: int = 64, tried=None):
    return Search(
        candidates() if tried is None else tried, bench, limit_s=limit_s, most_open=most_open, clock=bench.clock
    ).run()


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_choice_is_within_five_percent_of_the_best_however_noisy_the_machine(noise):
    ranking = search(Bench(hidden_cost_s, noise=noise))
    best = min(map(hidden_cost_s, candidates()))
    assert hidden_cost_s(ranking.chosen.settings) <= 1.05 * best


def test_a_machine_that_grows_slower_meanwhile_does_not_favour_what_was_opened_first():
    ranking = search(Bench(hidden_cost_s, noise=0.02, drift=0.1))
    assert (ranking.chosen.settings.threads, ranking.chosen.settings.spinning) == (4, True)
    assert ranking.chosen.of_usual == pytest.approx(hidden_cost_s(ranking.chosen.settings) / hidden_cost_s(USUAL), 0.03)


def test_what_was_dropped_early_is_compared_as_if_it_had_been_in_all_rounds():
    ranking = search(Bench(hidden_cost_s, drift=0.1))
    dropped = min(ranking.trials, key=lambda each: len(each.costs))
    over_chosen = dropped.cost_in_all_rounds / ranking.chosen.cost_in_all_rounds
    assert over_chosen == pytest.approx(hidden_cost_s(dropped.settings) / hidden_cost_s(ranking.chosen.settings), 0.05)
    assert dropped.cost_in_all_rounds > 1.05 * dropped.cost  # the machine grew slower


@pytest.mark.parametrize("load_s", [0.01, 0.3, 1.0, 4.0])
def test_the_time_is_kept_whether_graphs_load_in_no_time_or_in_seconds(load_s):
    bench = Bench(hidden_cost_s, noise=0.1, load_s=load_s)
    ranking = search(bench, limit_s=10.0)
    assert bench.now_s <= 10.1
    assert len(ranking.trials) + len(ranking.not_tried) == len(candidates())


def test_where_there_is_no_time_for_all_settings_those_like_the_best_so_far_come_first():
    ranking = search(Bench(hidden_cost_s, load_s=1.0))
    assert len(ranking.trials) <= 5 < len(ranking.not_tried)
    assert hidden_cost_s(ranking.chosen.settings) == min(map(hidden_cost_s, candidates()))


def test_a_graph_that_takes_longer_to_load_than_there_is_time_gives_the_usual_settings():
    ranking = search(Bench(hidden_cost_s, load_s=30.0))
    assert ranking.chosen.settings == USUAL
    assert ranking.chosen.of_usual == 1.0


def test_no_more_engines_are_open_than_there_is_memory_for():
    bench = Bench(hidden_cost_s)
    ranking = search(bench, most_open=3)
    assert bench.most_open <= 4  # the next one is open before the worst is closed
    assert hidden_cost_s(ranking.chosen.settings) <= 1.05 * min(map(hidden_cost_s, candidates()))


def test_among_settings_that_are_as_good_the_usual_ones_are_chosen():
    assert search(Bench(lambda settings: 1e-3, noise=0.01)).chosen.settings == USUAL


def test_the_usual_settings_are_measured_to_the_end_with_the_best_ones():
    ranking = search(Bench(hidden_cost_s))
    assert ranking.usual.settings == USUAL
    assert len(ranking.usual.costs) == len(ranking.chosen.costs) > 2 * len(ranking.trials[-1].costs)


# What there is to choose from


def test_threads_are_powers_of_two_the_cores_and_the_logical_cores():
    assert thread_counts(1, 1) == [1]
    assert thread_counts(6, 12) == [1, 2, 4, 6, 12]
    assert thread_counts(16, 16) == [1, 2, 4, 8, 16]


def test_a_single_thread_spins_for_nobody():
    assert [each for each in candidates() if each.threads == 1 and each.spinning] == []
    assert candidates()[0] == USUAL
    assert len(candidates()) == len(set(candidates())) == 3 * 4 + 2


def test_workers_take_the_cores_that_threads_leave_and_batches_need_a_mask():
    usual = replace(USUAL, workers=2)
    alone = settings_to_try([VARIANT], usual, cores=8, logical=8)
    assert {(each.threads, each.workers) for each in alone} == {(1, 8), (2, 4), (4, 2), (8, 2)}
    assert {each.batch_size for each in alone} == {1}
    masked = settings_to_try([replace(VARIANT, batched=True)], usual, cores=8, logical=8)
    assert {each.batch_size for each in masked} == {1, 4, 16}


@pytest.fixture
def certified(tmp_path):
    """A bundle with certificates that say this of each variant."""

    def write(default: str, **verdicts) -> Bundle:
        folder = tiny_bundle.write_bundle(tmp_path / "certified")
        path = folder / "certificate.json"
        path.write_text(json.dumps({"variants": verdicts}))
        bundle = Bundle.open(folder)
        files = {**bundle.manifest.files, "certificate.json": tiny_bundle.record(path)}
        manifest = replace(bundle.manifest, default_variant=default, files=files)
        (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
        return Bundle.open(folder)

    return write


CLOSE, FAR = {"absolute_error": 1e-6, "changed_results": 0.0}, {"absolute_error": 0.3, "changed_results": 0.0}


def verdict(measured, *, passed=True):
    return {"passed": passed, "measured": measured}


def names(found):
    return [each.name for each in found]


def test_speed_is_not_bought_with_exactness_unless_asked(certified):
    bundle = certified("fp32", fp32=verdict(CLOSE), int8=verdict(FAR))
    allowed, left_out = allowed_variants(bundle)
    assert names(allowed) == ["fp32"]
    assert left_out == {"int8": "less exact than fp32 by its certificate; --variants all lets it be chosen"}
    assert names(allowed_variants(bundle, ["all"])[0]) == ["fp32", "int8"]
    assert names(allowed_variants(bundle, ["int8"])[0]) == ["fp32", "int8"]


def test_a_variant_that_is_more_exact_may_take_the_place_of_the_usual_one(certified):
    assert names(allowed_variants(certified("int8", fp32=verdict(CLOSE), int8=verdict(FAR)))[0]) == ["int8", "fp32"]


def test_a_variant_without_a_certificate_that_allows_it_is_never_chosen(certified):
    bundle = certified("fp32", fp32=verdict(CLOSE), int8=verdict(CLOSE, passed=False))
    assert allowed_variants(bundle, ["all"])[1] == {"int8": "not certified"}
    with pytest.raises(UsageError, match="int8 may not be chosen, it is not certified"):
        allowed_variants(bundle, ["int8"])


def test_a_variant_for_another_language_is_never_chosen(certified):
    bundle = certified("fp32", fp32=verdict(CLOSE), int8=verdict(CLOSE))
    heads = bundle.manifest.heads
    swahili = replace(bundle.manifest.variants["int8"], precision="int8", language="swh", heads=heads)
    variants = {"fp32": bundle.manifest.variants["fp32"], "int8-swh": swahili}
    bundle = replace(bundle, manifest=replace(bundle.manifest, variants=variants))
    assert allowed_variants(bundle, ["all"]) == ([bundle.manifest.variants["fp32"]], {})
    with pytest.raises(UsageError, match="int8-swh may not be chosen, it is for another language"):
        allowed_variants(bundle, ["int8-swh"])


def test_a_variant_that_saturates_on_this_processor_is_never_chosen(certified, monkeypatch):
    bundle = certified("fp32", fp32=verdict(CLOSE), int8=verdict(CLOSE))
    monkeypatch.setattr(choices, "int8_saturation_warning", lambda variant: variant.name == "int8" or None)
    assert names(allowed_variants(bundle, ["all"])[0]) == ["fp32"]


def test_the_usual_variant_needs_no_certificate_since_load_takes_it_anyway(certified):
    assert names(allowed_variants(certified("fp32"))[0]) == ["fp32"]


# What is measured


def test_energy_is_read_from_the_counters_of_every_socket_and_wraps_around(tmp_path):
    names = {"0": "package-0", "0:0": "core", "1": "package-1", "2": "psys"}
    domains = {name: tmp_path / f"sys/class/powercap/intel-rapl:{name}" for name in names}
    for name, folder in domains.items():
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{names[name]}\n")
        (folder / "max_energy_range_uj").write_text("999999\n")
        (folder / "energy_uj").write_text("900000\n")
    meter = meters.energy_meter(tmp_path)
    assert (meter.unit, meter.read()) == ("J", 0.0)
    for name, count in {"0": 950_000, "0:0": 990_000, "1": 100_000, "2": 999_000}.items():
        (domains[name] / "energy_uj").write_text(f"{count}\n")
    assert meter.read() == pytest.approx(0.05 + 0.2)


def test_where_energy_cannot_be_read_time_on_processors_stands_for_it(tmp_path):
    assert meters.energy_meter(tmp_path).unit == "processor s"
    broken = tmp_path / "sys/class/powercap/intel-rapl:0"
    broken.mkdir(parents=True)
    (broken / "name").write_text("package-0")
    assert meters.energy_meter(tmp_path).unit == "processor s"  # no counter
    (broken / "energy_uj").write_text("unreadable")
    (broken / "max_energy_range_uj").write_text("999999")
    assert meters.energy_meter(tmp_path).unit == "processor s"


@pytest.mark.parametrize("aim", meters.BLOCKS)
def test_a_block_of_every_aim_gives_what_a_clip_takes(aim, engine):
    block = meters.blocks_of(aim, engine, 0.1, spinning=False)
    assert 0 < block() < 1


def test_clips_among_many_are_no_shorter_than_the_model_can_answer_to(monkeypatch, engine):
    given = []
    monkeypatch.setattr(engine, "map", lambda clips, **options: given.extend(map(len, clips)) or iter(()))
    meters.throughput_block(engine, 0.03, lambda: None)()
    assert min(given) == engine.geometry.receptive_field
    assert max(given) == pytest.approx(1.5 * 0.03 * 16_000, abs=1)


def test_spinning_threads_are_waited_for():
    meters.fall_asleep()
    began_s = meters.time.perf_counter()
    meters.fall_asleep()
    assert meters.time.perf_counter() - began_s >= meters.IDLE_NAPS * meters.NAP_S


def test_engines_that_wait_take_half_of_the_memory_at_most(monkeypatch):
    def room(available, limit):
        monkeypatch.setattr(tuning, "machine", lambda: {"available_bytes": available, "memory_limit_bytes": limit})

    room(8_000_000_000, None)
    assert tuning.most_open(320_000_000) == 4
    room(8_000_000_000, 2_000_000_000)
    assert tuning.most_open(320_000_000) == 1  # the search itself keeps two
    room(None, None)
    assert tuning.most_open(1) == 16
