"""Every table of docs/benchmarks.md has the figures of its record."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
PAGE = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")


def record(name):
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def tables(heading):
    """The tables under a heading, each as its rows without the header."""
    section = PAGE.partition(f"{heading}\n")[2].partition("\n#")[0]
    blocks = [block for block in section.split("\n\n") if block.startswith("|")]
    return [[row(line) for line in block.splitlines()[2:]] for block in blocks]


def row(line):
    return [cell.strip(" *") for cell in line.strip("|\n").split("|")]


def milliseconds(seconds):
    return f"{seconds * 1e3:.0f}" if seconds >= 0.1 else f"{seconds * 1e3:.3g}"


@pytest.mark.parametrize(("heading", "name"), [("### With VNNI", "vnni"), ("### With AVX2", "avx2")])
def test_the_tables_of_a_processor_are_those_of_its_record(heading, name):
    systems = record(f"peers-xlsr53-{name}/record.json")["systems"]
    figures, ratios = tables(heading)
    assert figures == [
        [
            system["title"],
            *(milliseconds(each["median_s"]) for each in system["latency"]),
            f"{system['quality']['rms_error']:.2g}",
            f"{system['load_s']:.2f}",
            *(f"{system['latency'][place]['peak_memory_bytes'] / 1e6:,.0f}" for place in (1, 3)),
        ]
        for system in systems
    ]
    assert ratios == [
        [
            system["title"],
            *(f"{each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})" for each in system["ours_over_this"]),
        ]
        for system in systems[1:]
    ]


def test_the_table_of_a_trained_model_is_that_of_its_record():
    (found,) = tables("## A trained model of 1.2 million parameters")
    qualities = {each["title"]: each["quality"] for each in record("peers-words-small/record.json")["systems"]}
    assert {title: cells[-3:] for title, *cells in found} == {
        title: [
            f"{quality['rms_error']:.2g}",
            f"{quality['wer']['variant']:.4f}",
            f"{quality['accuracy']['variant']:.4f}" if quality["accuracy"] else "-",
        ]
        for title, quality in qualities.items()
    }


def test_accuracies_and_word_error_rates_are_those_of_the_records():
    words, shipped = (record(f"{name}.json")["reports"] for name in ("words-small", "shipped-words"))
    demo = record("demo-seeds.json")
    forms = record("precisions-words-medium.json")["forms"]
    students, trials = record("distill-words.json")["test"], record("syllables.json")["trials"]
    reports = [
        *(words[name] for name in ("pytorch", "fp32", "int8")),
        *(
            {name: forms[form]["clips"][name]["variant"] for name in ("accuracy", "wer")}
            for form in ("fp32", "int8", "auto")
        ),
        *(shipped["int8"][split] for split in ("test", "spoken")),
        *(students[name] for name in ("teacher", "half", "narrow")),
        *(trials[name]["test"] for name in ("small-tones-only", "small")),
        {"accuracy": demo["least_accuracy"], "wer": demo["most_wer"]},
    ]
    (found,) = tables("## Trained models")
    assert [cells[1:3] for cells in found] == [
        [f"{report['accuracy']:.4f}", f"{report['wer']:.4f}" if "wer" in report else "-"] for report in reports
    ]


def test_every_link_of_the_page_leads_to_a_file():
    targets = [part.partition(")")[0] for part in PAGE.split("](")[1:]]
    assert [target for target in targets if not (ROOT / "docs" / target).is_file()] == []
