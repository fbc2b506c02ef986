"""The report of a made-up comparison: Markdown, page, summary and charts."""

import dataclasses
import html.parser
import re

import pytest

from tests.compare.report_cells import PNG, cells
from wav2edge_compare.compare_command import RANDOM_WEIGHTS
from wav2edge_compare.comparison_results import Comparison, LeftOut, Row
from wav2edge_compare.measuring.output_quality import Quality
from wav2edge_compare.peers.systems import PEERS
from wav2edge_compare.reporting.comparison_charts import LIGHT, MARKERS, PEER_COLOURS, charts
from wav2edge_compare.reporting.report_files import write_report
from wav2edge_compare.reporting.sections import headlines, terminal_report
from wav2edge_compare.roofline import ClassTime, Roofline, RooflineSample, Roofs

pytestmark = pytest.mark.slow  # draws charts in most of its tests


def made_up(**changes):
    rows = []
    for name, title, ours, latency_s in (
        ("wav2edge-int8", "wav2edge, int8", True, 0.05),
        ("torch", "PyTorch", False, 0.2),
    ):
        row = Row(name=name, title=title, ours=ours, settings="one | two", versions={"numpy": "2"}, size_bytes=10**6)
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
        "runs_per_turn": 3,
        "durations_s": (0.5, 1.0),
        "evaluated_on": "synthetic voices",
        "rows": tuple(rows),
        "left_out": (LeftOut(name="x", title="System X", reason="is <not> a|b here"),),
        "machine_macs_per_s": {0.5: [80e9, 190e9, 170e9], 1.0: [180e9]},
        "environment": {"processor": "a processor", "int8_features": ["avx2"]},
    }
    return Comparison(**{**fields, **changes})


class Outline(html.parser.HTMLParser):
    """Checks that every opened tag is closed, and collects text."""

    VOID = ("meta", "img", "source", "br", "hr")

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


def test_the_page_is_well_formed_and_no_content_becomes_markup(tmp_path):
    write_report(made_up(), tmp_path)
    text = "".join(Outline((tmp_path / "report.html").read_text()).text)
    assert "tiny <model>" in text
    assert "is <not> a|b here" in text
    assert "wav2edge compare bundle --against torch" in text


def test_every_output_notes_that_the_weights_are_random(tmp_path):
    comparison = made_up(note=RANDOM_WEIGHTS)
    write_report(comparison, tmp_path)
    for name in ("report.md", "report.html", "summary.json"):
        assert RANDOM_WEIGHTS in (tmp_path / name).read_text(), name
    assert RANDOM_WEIGHTS in terminal_report(comparison)


def test_the_headline_says_faster_only_where_it_is(tmp_path):
    faster = made_up()
    assert any(each.figure == "4x" and each.meaning.startswith("as fast as PyTorch") for each in headlines(faster))
    ours, torch = faster.rows
    slower = made_up(rows=(dataclasses.replace(ours, turns={1.0: [[0.4] * 3] * 4}), torch))
    assert any(each.figure == "2x" and each.meaning.startswith("the time of PyTorch") for each in headlines(slower))


def test_the_report_shows_how_the_throughput_of_the_machine_varied(tmp_path):
    write_report(made_up(), tmp_path)
    assert "170 GMAC/s (80 to 190) at 0.5 s, 180 GMAC/s (180 to 180) at 1 s" in (tmp_path / "report.md").read_text()


def test_a_report_is_written_even_where_our_own_bundle_failed(tmp_path):
    ours, torch = made_up().rows
    comparison = made_up(rows=(dataclasses.replace(ours, turns={}, peaks_bytes={}, failure="no memory"), torch))
    write_report(comparison, tmp_path)
    assert ["wav2edge, int8", "no memory"] in cells((tmp_path / "report.md").read_text())


def test_every_chart_of_the_markdown_exists(tmp_path):
    write_report(made_up(), tmp_path)
    pictures = re.findall(r"!\[.+\]\((.+)\)", (tmp_path / "report.md").read_text())
    assert pictures == ["time.png", "latency.png", "memory.png"]
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in pictures)


def test_the_roofline_is_a_section_and_a_file(tmp_path):
    matmuls = ClassTime(name="int8 MatMuls", nodes=2, duration_s=0.04, share=0.8, unit="MAC", work=4e9, roof_per_s=2e11)
    found = Roofline(
        graph="model.onnx",
        threads=2,
        roofs=Roofs(int8_macs_per_s=2e11, fp32_macs_per_s=1e11, memory_bytes_per_s=1e10),
        samples=(RooflineSample(clip_s=1.0, duration_s=0.05, classes=(matmuls,), matmuls=()),),
        environment={"processor": "a processor"},
    )
    write_report(made_up(), tmp_path, found)
    row = ["int8 MatMuls", "2", "40.000", "80.0%", "4.000 GMAC", "100.00 GMAC/s", "200.00 GMAC/s", "50.0%"]
    assert row in cells((tmp_path / "report.md").read_text())
    assert re.search(r"<td>int8 MatMuls</td>\s*<td[^>]*>2</td>", (tmp_path / "report.html").read_text())
    assert (tmp_path / "roofline.json").is_file()


def test_every_system_has_its_own_colour_and_marker():
    assert len(set(PEER_COLOURS)) >= len(PEERS)
    assert len(set(MARKERS)) >= len(PEERS)


@pytest.mark.parametrize("name", ["latency", "accuracy"])
def test_the_legend_of_a_chart_lists_each_system_in_reading_order_and_fits(name):
    ours, torch = made_up().rows
    quality = Quality(clips=1, largest_error=0.1, rms_error=0.01, changed_transcripts=None, wer=None, accuracy=None)
    rows = [
        dataclasses.replace(
            torch,
            name=f"s{number}",
            title=f"System {number}",
            quality=quality,
            turns={length_s: [[0.1 * length_s * (1 + number)] * 3] * 4 for length_s in (0.5, 1.0)},
        )
        for number in range(10)
    ]
    comparison = made_up(rows=(dataclasses.replace(ours, quality=quality), *rows))
    (chart,) = [each for each in charts(comparison) if each.name == name]
    figure = chart.figure(comparison, LIGHT)
    figure.draw_without_rendering()
    legend = figure.axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    fastest_first = ["wav2edge, int8", *(row.title for row in rows)]
    assert names == (fastest_first if name == "accuracy" else fastest_first[::-1])
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
