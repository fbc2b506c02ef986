"""The log of samples."""

import json

import pytest

from wav2edge_compare.comparison_results import SampleLog


def test_the_json_of_a_sample_is_strict(tmp_path):
    with SampleLog(tmp_path / "samples.jsonl") as samples:
        samples.write("turn", system="torch", latencies_s=[0.1])
        with pytest.raises(ValueError, match="not JSON compliant"):
            samples.write("turn", system="torch", latencies_s=[float("nan")])
    assert json.loads((tmp_path / "samples.jsonl").read_text()) == {
        "kind": "turn",
        "system": "torch",
        "latencies_s": [0.1],
    }
