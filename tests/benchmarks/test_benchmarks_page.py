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
    families = [preset["reports"] for preset in record("family-words.json")["presets"].values()]
    reports = [
        *(words[name] for name in ("pytorch", "fp32", "int8")),
        *(family[name] for family in families for name in ("pytorch", "int8")),
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


def spread_ms(value):
    return "-" if value is None else f"{1e3 * value['median']:.0f} / {1e3 * value['p95']:.0f}"


def test_the_table_of_chunks_is_that_of_its_record():
    (found,) = tables("### What a chunk costs")
    assert found == [
        [
            each["system"],
            str(each["chunk_ms"]),
            *(f"{each[name]:.1f}" for name in ("median_ms", "p95_ms", "p99_ms")),
            f"{each['real_time_factor']:.3f}",
            f"{each['relative_logit_error']:.2g}" if "relative_logit_error" in each else "-",
        ]
        for each in record("streams-xlsr53-vnni.json")["systems"]
    ]


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("### The streaming model", "streams-words-stream.json"),
        ("### A model without cached streams", "streams-words.json"),
    ],
)
def test_the_tables_of_streams_are_those_of_their_records(heading, name):
    (found,) = tables(heading)
    measured = record(name)
    kinds = [("", each) for each in measured["streams"]]
    kinds += [(", closed grammar", each) for each in measured["streams_of_a_closed_grammar"]]
    assert found == [
        [
            each["kind"] + (f", {each['chunk_ms']} ms" if "chunk_ms" in each else "") + decoder,
            "clean" if each["snr_db"] is None else f"{each['snr_db']:.0f} dB",
            *(f"{rates[rate]:.3f}" for rate in ("wer", "accuracy") for rates in (each, each["clip_by_clip"])),
            f"{each['missed']}, {each['split']}",
            spread_ms(each["first_partial_after_speech_began_s"]),
            spread_ms(each["final_after_the_end_point_s"]),
            f"{each['real_time_factor']:.3f}",
        ]
        for decoder, each in kinds
    ]


def test_the_table_of_contexts_is_that_of_its_record():
    (found,) = tables("### What context and distillation bring")
    rows = []
    for name, each in record("streams-contexts.json")["checkpoints"].items():
        rows.append([name, "whole", "-", "-", f"{each['whole']['wer']:.3f}", f"{each['whole']['accuracy']:.3f}"])
        rows += [
            [
                name,
                *(str(chunk[key]) for key in ("chunk_ms", "left_ms", "look_ahead_ms")),
                f"{chunk['wer']:.3f}",
                f"{chunk['accuracy']:.3f}",
            ]
            for chunk in each["chunks"]
        ]
    assert found == rows
