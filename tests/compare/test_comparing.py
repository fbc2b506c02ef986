"""One comparison as a user makes it, and everything it writes."""

import base64
import contextlib
import dataclasses
import io
import json
import re

import numpy as np
import pytest
import soundfile

from tests.compare.report_cells import PNG, cells
from wav2edge.cli import main
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_compare.peers.systems import PEERS

KIND = "group-norm ctc"

pytestmark = pytest.mark.slow


def strict(line):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


# Our bundle, PyTorch, a system that fails, and one that cannot load the checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """An evaluation set of three clips and a missing file."""
    folder = tmp_path_factory.mktemp("data")
    rows = ["file_name,transcription,split"]
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", voiced(6_000 + 2_000 * number, seed=number), 16_000)
        rows.append(f"{number}.wav,ka ta,test")
    rows.append("gone.wav,ka,test")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


class Roofline:
    """In place of the roofline, which has tests of its own and measures for seconds."""

    def __init__(self, graph, durations_s, threads, *, advance):
        self.arguments = {"graph": graph.name, "durations_s": list(durations_s), "threads": threads}

    def to_dict(self):
        return self.arguments

    def table(self):
        return "Roofs.\n\n| class | GMAC/s |\n|---|---:|\n| matmuls | 300 |"


@pytest.fixture(scope="module")
def made(bundles, checkpoints, data, tmp_path_factory):
    """Exit code, folder, standard output and standard error."""
    folder = tmp_path_factory.mktemp("comparison") / "out"
    words = ["compare", bundles(KIND).folder, "--against", "torch,torch-compile,ctranslate2"]
    words += ["--checkpoint", checkpoints(KIND), "--data", data, "--seconds", "0.2", "--rounds", 2, "--threads", 1]
    words += ["--variant", "fp32", "--output", folder]
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr("wav2edge_compare.comparing.roofline", Roofline)
        patch.setitem(PEERS, "torch-compile", dataclasses.replace(PEERS["torch-compile"], runner="nothing"))
        code = main([str(word) for word in words])
    return code, folder, out.getvalue(), err.getvalue()


def test_a_system_that_fails_is_one_row_with_its_reason_and_the_others_are_measured(made):
    code, folder, out, _ = made
    assert code == 1
    systems = {each["name"]: each for each in json.loads((folder / "summary.json").read_text())["systems"]}
    assert {name: each["failure"] for name, each in systems.items()} == {
        "wav2edge-fp32": None,
        "torch": None,
        "torch-compile": "KeyError: 'nothing'",
    }
    assert ["PyTorch, torch.compile, fp32", "KeyError: 'nothing'"] in cells(out)
    assert "PyTorch, torch.compile, fp32 (failed)" in out


def test_a_system_that_cannot_load_the_checkpoint_is_listed_with_its_reason(made):
    _, folder, out, _ = made
    (left_out,) = json.loads((folder / "summary.json").read_text())["left_out"]
    assert left_out["name"] == "ctranslate2"
    assert [left_out["title"], left_out["reason"]] in cells(out)


def test_every_sample_is_kept_as_strict_json_and_the_summary_is_computed_from_them(made):
    _, folder, _, _ = made
    lines = [strict(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    summary = json.loads((folder / "summary.json").read_text())
    for system in summary["systems"]:
        turns = [each for each in lines if each["kind"] == "turn" and each["system"] == system["name"]]
        if system["failure"]:
            assert turns == []
            continue
        assert [each["round"] for each in turns] == [0, 1]
        (latency,) = system["latency"]
        assert latency["median_s"] == np.median([each["latencies_s"] for each in turns])
        assert latency["runs"] == 6
        assert latency["peak_memory_bytes"] > 10e6
        starts = [each for each in lines if each["kind"] == "start" and each["system"] == system["name"]]
        assert system["cold_start_s"] == np.median([each["cold_start_s"] for each in starts])
    rates = [each["machine_macs_per_s"] for each in lines if each["kind"] == "turn"]
    (machine,) = summary["machine_throughput"]
    assert min(rates) > 1e6
    assert (machine["duration_s"], machine["median_macs_per_s"]) == (0.2, np.median(rates))
    assert (machine["slowest_macs_per_s"], machine["fastest_macs_per_s"]) == (min(rates), max(rates))


def test_speed_size_and_accuracy_are_in_the_same_row(made):
    _, folder, out, _ = made
    (ours, theirs, _) = json.loads((folder / "summary.json").read_text())["systems"]
    for system in (ours, theirs):
        assert system["quality"]["clips"] == 3
        assert system["quality"]["largest_error"] < 1e-4
        assert system["quality"]["wer"]["variant"] == system["quality"]["wer"]["original"]
        assert system["size_bytes"] > 100_000
        (row,) = [line for line in out.splitlines() if system["title"] in line and line.count("|") > 9]
        assert f"{system['quality']['wer']['variant']:.4f}" in row
    assert [each["value"] for each in ours["ours_over_this"]] == [1.0]


def test_the_roofline_of_our_variant_is_measured_in_the_same_run(made):
    _, folder, _, _ = made
    arguments = json.loads((folder / "roofline.json").read_text())
    assert arguments == {"graph": "model.onnx", "durations_s": [0.2], "threads": 1}
    assert "| matmuls | 300 |" in (folder / "report.md").read_text()
    assert re.search(r"<td>matmuls</td>\s*<td[^>]*>300</td>", (folder / "report.html").read_text())


def test_the_page_is_one_file_that_needs_no_other(made):
    _, folder, _, err = made
    page = (folder / "report.html").read_text()
    assert re.findall(r'(?:src|href|srcset)="(?!data:image/png;base64,)', page) == []
    assert "http" not in re.sub(r"https?://www\.w3\.org/\S+", "", page)
    assert "<script" not in page
    pictures = [base64.b64decode(each) for each in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    assert len(pictures) == 8  # four charts, for light and for dark pages
    assert all(each.startswith(PNG) for each in pictures)
    assert f"wrote {folder / 'report.html'}" in err
