"""Throughput compared with a bare loop, and the GPU script rehearsed on the CPU."""

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks.records import gpu, training_throughput
from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.gpu.gpu_meter import GpuMeter, busy_share
from benchmarks.records.gpu.training_throughput import Round, compare, summary
from tests.train.conftest import WORDS, write_corpus


def test_the_ratio_is_of_medians_and_the_gpu_share_is_of_our_loop():
    rounds = [
        Round(loop=loop, clips_per_s=speed, gpu_busy=busy)
        for loop, speed, busy in (
            ("wav2edge", 90.0, 0.9),
            ("pytorch", 100.0, 0.5),
            ("pytorch", 120.0, 0.5),
            ("wav2edge", 110.0, 0.8),
        )
    ]
    found = summary(rounds)
    assert found["ratio"] == pytest.approx(100 / 110)
    assert found["gpu_busy"] == pytest.approx(0.85)
    assert len(found["rounds"]) == 4


@pytest.mark.slow
def test_both_loops_train_the_same_model_and_are_timed(monkeypatch):
    monkeypatch.setattr(training_throughput, "CLIPS", 16)
    seen = []
    loops = {
        name: lambda model, *rest, name=name, loop=loop: (
            seen.append((name, sum(weights.double().sum().item() for weights in model.parameters()))),
            loop(model, *rest),
        )
        for name, loop in training_throughput.LOOPS.items()
    }
    monkeypatch.setattr(training_throughput, "LOOPS", loops)
    record = compare("tiny", rounds=2, warm_up=1, updates=2)
    assert [name for name, _ in seen] == ["wav2edge", "pytorch", "pytorch", "wav2edge"]
    assert len({total for _, total in seen}) == 1
    assert all(each["clips_per_s"] > 0 for each in record["rounds"])
    assert record["parameters"] > 400_000


def test_the_meter_reads_the_output_of_the_driver_and_gives_none_without_one(monkeypatch):
    assert busy_share("90\n 100\n80\n4") == pytest.approx((0.9 + 1.0 + 0.8 + 0.04) / 4)
    assert busy_share("[N/A]\n") is None
    monkeypatch.setattr("shutil.which", lambda name: None)
    meter = GpuMeter()
    meter.start()
    assert meter.stop() is None


@pytest.fixture
def commands(monkeypatch):
    """`wav2edge` writes the report and a chart of every training."""
    seen = []

    def run(self, *words, accepted=(0,)):
        seen.append(list(map(str, words)))
        if "--output" in words:
            folder = words[words.index("--output") + 1]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.json").write_text("{}")
            (folder / "loss.png").write_bytes(b"png")
        return json.dumps({"accuracy": 0.9, "clips": 100, "wer": 0.1})

    monkeypatch.setattr(CommandRecorder, "run", run)
    monkeypatch.setattr(training_throughput, "main", lambda words: seen.append(["throughput", *words]))
    return seen


def test_on_a_gpu_each_model_is_trained_once_evaluated_and_its_record_kept(commands, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    arguments = [str(tmp_path / "w"), "--syllables", str(tmp_path / "s"), "--base", str(tmp_path / "xlsr")]
    arguments += ["--output", str(tmp_path / "out"), "--result", str(tmp_path / "kept")]
    (tmp_path / "out/words-medium/checkpoints").mkdir(parents=True)
    gpu.main(arguments)
    trained = [words for words in commands if words[0] in ("train", "distill")]
    assert [words[words.index("--output") + 1].rpartition("/")[2] for words in trained] == [
        "words-xlsr53",
        "words-medium",
        "words-xlsr53-student",
        "words-medium-student",
        "syllables-medium",
    ]
    assert trained[1][-1] == "--resume"
    assert trained[2][:5] == ["distill", f"{tmp_path}/out/words-xlsr53", f"{tmp_path}/w", "--encoder-layers", "12"]
    record = json.loads((tmp_path / "kept/words-xlsr53/record.json").read_text())
    assert record["training"].startswith("wav2edge train WORDS --base XLSR-53 ")
    assert record["reports"]["test"]["accuracy_interval"] == pytest.approx([0.8256, 0.9448], abs=1e-3)
    assert (tmp_path / "kept/words-xlsr53/loss.png").is_file()
    assert str(tmp_path) not in (tmp_path / "kept/words-medium-student/record.json").read_text()

    commands.clear()
    gpu.main(arguments)
    assert {words[0] for words in commands} == {"evaluate", "throughput"}


def test_without_a_gpu_the_script_ends_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU here; run it where there is one, or add --rehearse"):
        gpu.main([str(tmp_path), "--output", str(tmp_path), "--result", str(tmp_path)])


def test_make_gpu_runs_this_script(tmp_path):
    words = ["make", "--dry-run", "gpu", "WORDS=w", "SYLLABLES=s", "BASE=b"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    command = "-m benchmarks.records.gpu w --syllables s --base b --output build/gpu --result benchmarks/results/gpu"
    assert command in " ".join(shown.replace("\\\n", " ").split())


def test_the_command_line_accepts_every_option_of_the_trials(tmp_path):
    from argparse import ArgumentParser

    from wav2edge_train import train_command
    from wav2edge_train.distillation import distill_command

    parsers = {"train": ArgumentParser(), "distill": ArgumentParser()}
    train_command.COMMAND.add_arguments(parsers["train"])
    distill_command.COMMAND.add_arguments(parsers["distill"])
    corpus = write_corpus(tmp_path, [("train", word, "0") for word in WORDS])
    common = [str(corpus), "--syllables", str(corpus), "--output", "o", "--result", "r"]
    for more in ([], ["--rehearse"], ["--base", "b"]):
        for trial in gpu.trials(gpu.parse([*common, *more])):
            verb, *words = map(str, trial.command)
            parsed = parsers[verb].parse_args([*words, "--output", "x"])
            assert (parsed.data, parsed.output) == (corpus, Path("x"))
