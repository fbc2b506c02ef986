"""The record of several demos: a row of each seed, and the worst of them."""

import json
from pathlib import Path

import pytest

from benchmarks.records.accuracy import demo
from benchmarks.records.command_recorder import CommandRecorder, Step

ACCURACIES = {"1": 0.99, "7": 0.5}
CERTIFICATES = {"1": {"fp32": "exact", "int8": "close"}, "7": {"fp32": "exact"}}


@pytest.fixture
def commands(monkeypatch):
    """Stands for the commands; the demo of seed 7 comes out below its bar, and its int8 is refused."""
    seen = []

    def run(self, *words, accepted=(0,)):
        seen.append((list(map(str, words)), accepted))
        self.steps.append(Step(command=self.command(*words), seconds=10.0))
        if words[0] == "evaluate":
            seed = Path(words[1]).parent.name.removeprefix("seed-")
            return json.dumps({"accuracy": ACCURACIES[seed], "wer": 1 - ACCURACIES[seed], "clips": 97})
        seed, bundle = words[-1], Path(words[2]) / "bundle"
        bundle.mkdir(parents=True)
        variants = {name: {"summary": summary} for name, summary in CERTIFICATES[seed].items()}
        (bundle / "certificate.json").write_text(json.dumps({"variants": variants}))
        return ""

    monkeypatch.setattr(CommandRecorder, "run", run)
    return seen


def test_several_seeds_make_a_row_each_and_the_worst_of_them(commands, tmp_path):
    demo.main(["--seeds", "1,7", "--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json")])
    record = json.loads((tmp_path / "record.json").read_text())
    assert [row["seed"] for row in record["seeds"]] == [1, 7]
    assert record["seeds"][0] == {
        "seed": 1,
        "accuracy": 0.99,
        "wer": pytest.approx(0.01),
        "clips": 97,
        "seconds": 10.0,
        "certificates": CERTIFICATES["1"],
    }
    assert record["seeds"][1]["certificates"] == {"fp32": "exact", "int8": demo.REFUSED}
    assert (record["least_accuracy"], record["most_wer"], record["most_seconds"]) == (0.5, 0.5, 10.0)
    assert str(tmp_path) not in (tmp_path / "record.json").read_text()


def test_a_demo_below_its_bar_does_not_end_the_record(commands, tmp_path):
    demo.main(["--seeds", "7", "--output", str(tmp_path / "out"), "--result", str(tmp_path / "record.json")])
    words, accepted = commands[0]
    assert words == ["demo", "--output", str(tmp_path / "out/seed-7"), "--seed", "7"]
    assert accepted == (0, 1)
