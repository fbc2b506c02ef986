"""Options of a comparison that make no sense are refused before anything is built."""

import pytest

from wav2edge.errors import UsageError
from wav2edge_compare.comparison_options import ComparisonOptions


@pytest.mark.parametrize("against", ["", "all,torch", "torch,torch", "tensorflow"])
def test_unknown_or_repeated_systems_are_refused_with_the_known_names(against, tmp_path):
    with pytest.raises(UsageError, match="openvino-int8"):
        ComparisonOptions(bundle=tmp_path, checkpoint=tmp_path, output=tmp_path / "out", against=against)


@pytest.mark.parametrize(
    "change", [{"durations_s": (0.0,)}, {"durations_s": (1.0, 1.0)}, {"rounds": 0}, {"threads": 0}, {"max_clips": 0}]
)
def test_impossible_options_are_refused(change, tmp_path):
    with pytest.raises(UsageError):
        ComparisonOptions(bundle=tmp_path, checkpoint=tmp_path, output=tmp_path / "out", **change)
