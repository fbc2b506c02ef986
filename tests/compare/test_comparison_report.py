"""One comparison as a user makes it, and everything that it leaves behind."""

import base64
import contextlib
import dataclasses
import html.parser
import io
import itertools
import json
import re

import numpy as np
import pytest
import soundfile
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.isotonic import isotonic_regression

from wav2edge.cli import main
from wav2edge.errors import BenchmarkError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge_compare import compare_command, comparing
from wav2edge_compare.measuring.answer_quality import Quality
from wav2edge_compare.peers import build_cache
from wav2edge_compare.peers.systems import PEERS
from wav2edge_compare.reporting.comparison_charts import LIGHT, draw_latency, draw_quality
from wav2edge_compare.reporting.labels import spread
from wav2edge_compare.reporting.markdown import to_html
from wav2edge_compare.reporting.report_files import write_report
from wav2edge_compare.reporting.results import Comparison, LeftOut, Row
from wav2edge_compare.reporting.sections import headlines, on_a_terminal

KIND = "group-norm ctc"
PNG = b"\x89PNG\r\n\x1a\n"


def strict(line):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


# A real one: our bundle, PyTorch, a system that breaks, and one that cannot take the checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three clips to judge on; one of them cannot be read."""
    folder = tmp_path_factory.mktemp("data")
    rows = ["file_name,transcription,split"]
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", voiced(6_000 + 2_000 * number, seed=number), 16_000)
        rows.append(f"{number}.wav,ka ta,test")
    rows.append("gone.wav,ka,test")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


class Roofline:
    """Stands for the roofline, which has tests of its own and measures for seconds."""

    def __init__(self, graph, durations_s, threads, *, advance):
        self.asked = {"graph": graph.name, "durations_s": list(durations_s), "threads": threads}

    def to_dict(self):
        return self.asked

    def table(self):
        return "Roofs.\n\n| class | GMAC/s |\n|---|---:|\n| products | 300 |"


@pytest.fixture(scope="module")
def made(bundles, checkpoints, data, tmp_path_factory):
    """Exit code, folder, what was printed, and what was said."""
    folder = tmp_path_factory.mktemp("comparison") / "out"
    words = ["compare", bundles(KIND).folder, "--against", "torch,torch-compile,ctranslate2"]
    words += ["--checkpoint", checkpoints(KIND), "--data", data, "--seconds", "0.2", "--rounds", 2, "--threads", 1]
    words += ["--variant", "fp32", "--output", folder]
    out, said = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        patch.setattr("wav2edge_compare.reporting.roof.roofline", Roofline)
        patch.setitem(PEERS, "torch-compile", dataclasses.replace(PEERS["torch-compile"], runner="nothing"))
        code = main([str(word) for word in words])
    return code, folder, out.getvalue(), said.getvalue()


def test_a_system_that_breaks_is_one_row_with_its_reason_and_the_others_go_on(made):
    code, folder, out, _ = made
    assert code == 1
    systems = {each["name"]: each for each in json.loads((folder / "summary.json").read_text())["systems"]}
    assert {name: each["failure"] for name, each in systems.items()} == {
        "wav2edge-fp32": None,
        "torch": None,
        "torch-compile": "KeyError: 'nothing'",
    }
    assert "| PyTorch, torch.compile, fp32 | KeyError: 'nothing' |" in out
    assert "PyTorch, torch.compile, fp32 (failed)" in out


def test_a_system_that_cannot_take_the_checkpoint_is_listed_with_its_reason(made):
    _, folder, out, _ = made
    (left_out,) = json.loads((folder / "summary.json").read_text())["left_out"]
    assert left_out["name"] == "ctranslate2"
    assert f"| {left_out['title']} | {left_out['reason']} |" in out


def test_every_sample_is_kept_as_strict_json_and_the_summary_is_made_of_them(made):
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
        assert latency["answers"] == 6
        assert latency["peak_memory_bytes"] > 10e6
        starts = [each for each in lines if each["kind"] == "start" and each["system"] == system["name"]]
        assert system["cold_start_s"] == np.median([each["cold_start_s"] for each in starts])
    paces = [each["pace_macs_per_s"] for each in lines if each["kind"] == "turn"]
    (pace,) = summary["pace"]
    assert min(paces) > 1e6
    assert (pace["duration_s"], pace["median_macs_per_s"]) == (0.2, np.median(paces))
    assert (pace["slowest_macs_per_s"], pace["fastest_macs_per_s"]) == (min(paces), max(paces))


def test_speed_size_and_accuracy_stand_in_the_same_row(made):
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


def test_what_was_built_is_not_built_again_unless_what_it_depends_on_has_changed(checkpoints, monkeypatch, tmp_path):
    facts, lines = comparing.read_facts(checkpoints(KIND)), []
    folder = comparing.Workshop(facts, tmp_path, [], say=lines.append).build("ctc")
    assert comparing.Workshop(facts, tmp_path, [], say=lines.append).build("ctc") == folder
    assert lines == ["building ctc"]
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0")
    monkeypatch.setattr(build_cache, "BUILDER", "wav2edge_compare.nothing")
    workshop = comparing.Workshop(facts, tmp_path, [], say=lines.append)
    for _ in range(2):  # the reason is remembered: what needs it fails with the same words
        with pytest.raises(BenchmarkError, match="No module named"):
            workshop.build("onnx")
    assert lines == ["building ctc"] * 2


def test_the_roof_is_measured_in_the_same_run_for_our_variant(made):
    _, folder, _, _ = made
    asked = json.loads((folder / "roofline.json").read_text())
    assert asked == {"graph": "model.onnx", "durations_s": [0.2], "threads": 1}
    assert "| products | 300 |" in (folder / "report.md").read_text()
    assert "<th scope=row>products</th><td class=figure>300</td>" in (folder / "report.html").read_text()


def test_the_page_is_one_file_that_needs_no_other(made):
    _, folder, _, said = made
    page = (folder / "report.html").read_text()
    assert re.findall(r'(?:src|href|srcset)="(?!data:image/png;base64,)', page) == []
    assert "http" not in re.sub(r"https?://www\.w3\.org/\S+", "", page)
    assert "<script" not in page
    pictures = [base64.b64decode(each) for each in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    assert len(pictures) == 6  # three charts, for light and for dark pages
    assert all(each.startswith(PNG) for each in pictures)
    assert f"wrote {folder / 'report.html'}" in said


# A made-up one, for what the reports say


def made_up(**changes):
    rows = []
    for name, title, ours, latency_s in (
        ("wav2edge-int8", "wav2edge, int8", True, 0.05),
        ("torch", "PyTorch", False, 0.2),
    ):
        row = Row(
            name=name, title=title, ours=ours, settings="as it is | was", versions={"numpy": "2"}, size_bytes=10**6
        )
        for duration_s in (0.5, 1.0):
            row.turns[duration_s] = [[latency_s * duration_s] * 3] * 4
            row.peaks_bytes[duration_s] = 10**8
        rows.append(row)
    fields = {
        "subject": "tiny <model>",
        "parameters": 10**6,
        "note": None,
        "command": "wav2edge compare bundle --against torch",
        "made_on": "2026-01-01",
        "threads": 2,
        "rounds": 4,
        "answers_a_turn": 3,
        "durations_s": (0.5, 1.0),
        "judged_on": "made-up voices",
        "rows": tuple(rows),
        "left_out": (LeftOut(name="x", title="System X", reason="is <not> a|b here"),),
        "paces_macs_per_s": {0.5: [80e9, 190e9, 170e9], 1.0: [180e9]},
        "environment": {"processor": "a processor", "int8_features": ["avx2"]},
    }
    return Comparison(**{**fields, **changes})


class Outline(html.parser.HTMLParser):
    """Checks that what is opened is closed, and collects text."""

    VOID = ("meta", "img", "source")

    def __init__(self, text):
        super().__init__()
        self.open, self.text = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_well_formed_and_nothing_of_the_content_becomes_markup(tmp_path):
    write_report(made_up(), tmp_path)
    text = "".join(Outline((tmp_path / "report.html").read_text()).text)
    assert "tiny <model>" in text
    assert "is <not> a|b here" in text
    assert "wav2edge compare bundle --against torch" in text


def test_random_weights_are_said_in_every_output(tmp_path):
    comparison = made_up(note=compare_command.RANDOM_WEIGHTS)
    write_report(comparison, tmp_path)
    for name in ("report.md", "report.html", "summary.json"):
        assert compare_command.RANDOM_WEIGHTS in (tmp_path / name).read_text(), name
    assert compare_command.RANDOM_WEIGHTS in on_a_terminal(comparison)


def test_the_headline_says_faster_only_where_it_is(tmp_path):
    faster = made_up()
    assert any(each.figure == "4x" and each.meaning.startswith("as fast as PyTorch") for each in headlines(faster))
    ours, torch = faster.rows
    slower = made_up(rows=(dataclasses.replace(ours, turns={1.0: [[0.4] * 3] * 4}), torch))
    assert any(each.figure == "2x" and each.meaning.startswith("the time of PyTorch") for each in headlines(slower))


def test_the_report_says_how_far_the_machine_itself_moved_while_it_measured(tmp_path):
    write_report(made_up(), tmp_path)
    assert "170 GMAC/s (80 to 190) at 0.5 s, 180 GMAC/s (180 to 180) at 1 s" in (tmp_path / "report.md").read_text()


def test_a_report_is_written_even_where_our_own_bundle_failed(tmp_path):
    ours, torch = made_up().rows
    comparison = made_up(rows=(dataclasses.replace(ours, turns={}, peaks_bytes={}, failure="no memory"), torch))
    write_report(comparison, tmp_path)
    assert "| wav2edge, int8 | no memory |" in (tmp_path / "report.md").read_text()


def test_other_parts_of_the_project_add_tables_and_figures(tmp_path):
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    table = "Achieved.\n\n| class | GMAC/s |\n| --- | ---: |\n| product | 310 |"
    write_report(made_up(), tmp_path, [("Roof", table), ("Walk", figure)])
    markdown, page = ((tmp_path / name).read_text() for name in ("report.md", "report.html"))
    assert f"## Roof\n\n{table}" in markdown
    assert "<td class=figure>310</td>" in page
    (picture,) = re.findall(r"!\[Walk\]\((.+)\)", markdown)
    assert (tmp_path / picture).read_bytes().startswith(PNG)
    assert "<h2>Walk</h2><picture>" in page


def test_every_picture_of_the_markdown_is_there(tmp_path):
    write_report(made_up(), tmp_path)
    pictures = re.findall(r"!\[.+\]\((.+)\)", (tmp_path / "report.md").read_text())
    assert pictures == ["latency.png", "memory.png"]
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in pictures)


@pytest.mark.parametrize("draw", [draw_latency, draw_quality], ids=["latency", "accuracy"])
def test_no_name_in_a_chart_covers_another_one(draw):
    ours, torch = made_up().rows
    rows = []
    for number in range(9):  # systems of like speed and like error
        turns = {length_s: [[0.1 * length_s * (1 + number // 3 / 50)] * 3] * 4 for length_s in (0.5, 1.0)}
        quality = Quality(
            clips=1,
            largest_error=0.1,
            rms_error=0.01 * (1 + number / 9),
            changed_transcripts=None,
            wer=None,
            accuracy=None,
        )
        rows.append(
            dataclasses.replace(torch, name=f"s{number}", title=f"System {number}", turns=turns, quality=quality)
        )
    axes = Figure(figsize=(9, 5), layout="constrained").add_subplot()
    draw(axes, made_up(rows=(ours, *rows)), LIGHT)
    figure = axes.get_figure()
    figure.draw_without_rendering()
    names = [each for each in axes.texts if each.get_text().startswith("System")]
    boxes = [Text.get_window_extent(name) for name in names]
    assert len(boxes) == len(rows)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_names_are_pushed_apart_as_isotonic_regression_has_it():
    wanted = np.random.default_rng(7).uniform(0, 100, 12)
    ranks = np.argsort(np.argsort(wanted))
    expected = isotonic_regression(np.sort(wanted) - 13 * np.arange(12))[ranks] + 13 * ranks
    np.testing.assert_allclose(spread(wanted.tolist(), 13), expected)
    assert spread([0.0, 50.0], 13) == [0.0, 50.0]


def test_markdown_becomes_the_elements_it_means():
    assert to_html("Some **bold** `code` & <more>.") == (
        "<p>Some <strong>bold</strong> <code>code</code> &amp; &lt;more&gt;.</p>"
    )
    assert to_html("- one\n- two") == "<ul><li>one</li><li>two</li></ul>"
    table = to_html("| a | b |\n| --- | ---: |\n| x\\|y | 1 |")
    assert "<th scope=row>x|y</th><td class=figure>1</td>" in table


# The command line


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--against", "torch"], "a comparison needs a BUNDLE, or --shape"),
        (["bundle", "--against", "torch"], "--checkpoint DIR"),
        (["bundle", "--shape", "xlsr-53"], "leave BUNDLE and --checkpoint out"),
        (["--shape", "xlsr-53", "--data", "data"], "leave --data out"),
        (["--shape", "enormous"], "no shape 'enormous'; choose xlsr-53, base"),
        (["bundle", "--against", "tensorflow", "--checkpoint", "c"], "--against takes all, or of torch"),
        (["bundle", "--against", "torch", "--checkpoint", "c", "--seconds", "1,x"], "--seconds takes numbers"),
        (["bundle", "--against", "torch", "--checkpoint", "c", "--rounds", "0"], "0 rounds"),
        ([], "no BUNDLE"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(words, reason, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert reason in line


def test_a_missing_package_is_named_with_the_extra(capsys, monkeypatch):
    monkeypatch.setattr(compare_command, "NEEDED", ("no_such_package",))
    assert main(["compare", "bundle", "--against", "torch", "--checkpoint", "checkpoint"]) == 3
    assert capsys.readouterr().err == (
        "wav2edge: `wav2edge bench` beside other systems needs no_such_package, which is not installed;"
        " run: pip install 'wav2edge[bench]'\n"
    )


def test_a_bundle_or_a_checkpoint_that_is_none_is_refused_before_anything_is_built(
    bundles, checkpoints, capsys, tmp_path
):
    for words in (
        [bundles(KIND).folder, "--checkpoint", tmp_path],
        [tmp_path, "--checkpoint", checkpoints(KIND)],
    ):
        assert main(["compare", *map(str, words), "--against", "torch", "--output", str(tmp_path / "out")]) == 3
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
