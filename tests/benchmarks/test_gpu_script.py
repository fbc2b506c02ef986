"""The script of everything that needs a GPU: its steps, its limits, and a rehearsal on the CPU."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

from benchmarks.records.command_recorder import CommandRecorder
from benchmarks.records.gpu import __main__ as script
from benchmarks.records.gpu.gpu_latency import in_turns
from tests.export.tiny_checkpoints import save_checkpoint
from tests.train.conftest import WORDS, write_corpus
from wav2edge.cli import main
from wav2edge_train import train_command
from wav2edge_train.distillation import distill_command


@pytest.fixture
def commands(monkeypatch):
    """`wav2edge` writes the report and a chart of every training; the other steps are noted."""
    seen = []

    def run(self, *words, accepted=(0,), limit_s=None):
        seen.append([*map(str, words), *([f"limit {limit_s:.0f}"] if limit_s else [])])
        if "--output" in words:
            folder = Path(words[words.index("--output") + 1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.json").write_text("{}")
            (folder / "loss.png").write_bytes(b"png")
        return json.dumps({"accuracy": 0.9, "clips": 100, "wer": 0.1})

    def start(self, module, *words):
        seen.append([module, *map(str, words)])
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(CommandRecorder, "run", run)
    monkeypatch.setattr(script.Script, "_start", start)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    return seen


def words_of(tmp_path, *more):
    return [str(tmp_path / "w"), "--output", str(tmp_path / "out"), "--result", str(tmp_path / "kept"), *more]


def test_each_model_is_trained_once_by_the_clock_evaluated_and_its_record_kept(commands, tmp_path):
    more = ["--syllables", str(tmp_path / "s"), "--base", str(tmp_path / "xlsr"), "--minutes", "2"]
    (tmp_path / "out/words-medium-strong/checkpoints").mkdir(parents=True)
    script.main(words_of(tmp_path, *more, "--bundle", str(tmp_path / "b")))
    trained = {
        Path(words[words.index("--output") + 1]).name: words for words in commands if words[0] in ("train", "distill")
    }
    assert set(list(trained)[3:5]) == {"words-xlsr53-student", "words-medium-strong-student"}  # side by side
    assert list(trained)[5:] == ["syllables-medium"]
    assert set(list(trained)[:3]) == {"words-xlsr53", "words-medium-strong", "words-medium-masked"}
    assert trained["words-medium-strong"][-2:] == ["--resume", "limit 210"]
    assert trained["words-xlsr53"][2:4] == ["--base", str(tmp_path / "xlsr")]
    assert "--max-minutes 2.0" in " ".join(trained["words-medium-strong"])
    assert [words[0] for words in commands[:3]] == ["gpu_latency", "gpu_answers", "training_throughput"]
    record = json.loads((tmp_path / "kept/words-xlsr53/record.json").read_text())
    assert record["training"].startswith("wav2edge train WORDS --base XLSR-53 ")
    assert record["reports"]["test"]["accuracy_interval"] == pytest.approx([0.8256, 0.9448], abs=1e-3)
    assert (tmp_path / "kept/words-xlsr53/loss.png").is_file()
    assert str(tmp_path) not in (tmp_path / "kept/words-medium-strong-student/record.json").read_text()

    commands.clear()
    script.main(words_of(tmp_path, *more, "--steps", "words,students,syllables"))
    assert {words[0] for words in commands} == {"evaluate"}


def test_trainings_are_chosen_by_name(commands, tmp_path, capsys):
    chosen = ["--steps", "words", "--trainings"]
    script.main(words_of(tmp_path, *chosen, "words-medium-strong"))
    assert [words[0] for words in commands] == ["train", "evaluate"]
    with pytest.raises(SystemExit):
        script.main(words_of(tmp_path, *chosen, "medium"))
    assert "no training medium; there are words-xlsr53, words-medium-strong, " in capsys.readouterr().err


def test_models_with_random_weights_have_the_teacher_and_the_best_of_them_a_student(tmp_path):
    teacher = tmp_path / "small"
    for name, accuracy in {"strong": 0.95, "masked": 0.96}.items():
        folder = tmp_path / "out" / f"words-medium-{name}"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps({"accuracy": accuracy, "wer": 0.1}))
    options = script.parse(words_of(tmp_path, "--teacher", str(teacher)))
    assert [trial.teacher for trial in script.word_trials(options)] == [teacher] * 3
    assert [trial.teacher.name for trial in script.student_trials(options)] == ["words-xlsr53", "words-medium-masked"]
    options = script.parse(words_of(tmp_path, "--teacher", str(teacher), "--base", "xlsr"))
    assert [trial.teacher for trial in script.word_trials(options)] == [None, teacher, teacher]


def test_the_latency_step_is_told_when_the_gpu_is_free(commands, tmp_path):
    script.main(words_of(tmp_path, "--steps", "latency"))
    (words,) = commands
    flags = [Path(words[words.index(flag) + 1]) for flag in ("--gpu-after", "--measure-after")]
    assert all(flag.is_file() for flag in flags)


def test_a_step_that_fails_is_told_of_and_the_others_go_on(commands, tmp_path, monkeypatch, capsys):
    def fail(self, *words, **options):
        raise subprocess.TimeoutExpired("wav2edge", 3)

    monkeypatch.setattr(CommandRecorder, "run", fail)
    with pytest.raises(SystemExit, match=r"failed: words-.*words-.*words-"):
        script.main(words_of(tmp_path, "--steps", "throughput,words"))
    assert "timed out after 3 seconds" in capsys.readouterr().err


def test_a_process_that_outlasts_its_limit_is_ended(tmp_path):
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    options = script.parse(words_of(tmp_path))
    options.output.mkdir()
    with pytest.raises(subprocess.TimeoutExpired):
        script.Script(options)._finish(sleeping, 0.1)
    assert sleeping.wait(timeout=10) != 0


def test_without_a_gpu_the_script_ends_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU here; run it where there is one, or add --rehearse"):
        script.main(words_of(tmp_path))


def test_an_unknown_step_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.parse(words_of(tmp_path, "--steps", "words,benches"))
    assert "no step benches; there are answers, throughput, latency, words" in capsys.readouterr().err


def test_make_gpu_runs_this_script():
    words = ["make", "--dry-run", "gpu", "WORDS=w", "BUNDLE=b", "SYLLABLES=s", "BASE=x"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    command = "-m benchmarks.records.gpu w --bundle b --syllables s --base x --output build/gpu --result"
    assert command in " ".join(shown.replace("\\\n", " ").split())


def test_the_command_line_accepts_every_option_of_the_trials(tmp_path):
    parsers = {"train": ArgumentParser(), "distill": ArgumentParser()}
    train_command.COMMAND.add_arguments(parsers["train"])
    distill_command.COMMAND.add_arguments(parsers["distill"])
    corpus = write_corpus(tmp_path, [("train", word, "0") for word in WORDS])
    common = [str(corpus), "--syllables", str(corpus), "--output", "o", "--result", "r"]
    for more in ([], ["--rehearse"], ["--base", "b"], ["--teacher", "t"], ["--no-cuda-graphs"]):
        options = script.parse([*common, *more])
        for trial in (trial for trials in script.TRIALS.values() for trial in trials(options)):
            verb, *words = map(str, trial.command)
            parsed = parsers[verb].parse_args([*words, "--output", "x"])
            assert (parsed.data, parsed.output) == (corpus, Path("x"))


def test_systems_take_turns_and_ratios_are_of_medians():
    order = []

    def system(name):
        return lambda clips: order.append(name) or np.zeros(1)

    found = in_turns({"wav2edge fp16": system("a"), "pytorch fp16": system("b")}, (2, 0.1), rounds=2)
    assert "".join(order) == "aaabbb" + "aaabbb" + "bbbaaa"
    ours, theirs = (found["median_ms"][name] for name in ("wav2edge fp16", "pytorch fp16"))
    assert found["wav2edge_fp16_over"]["pytorch fp16"] == pytest.approx(ours / theirs)


@pytest.mark.slow
def test_the_script_is_rehearsed_on_the_cpu(tmp_path):
    (tmp_path / "corpus").mkdir()
    rows = [(split, word, "0") for split in ("train", "validation", "test") for word in WORDS]
    corpus = write_corpus(tmp_path / "corpus", rows)
    save_checkpoint(tmp_path / "checkpoint", "joint")
    bundle = tmp_path / "bundle"
    words = ["export", str(tmp_path / "checkpoint"), "--output", str(bundle)]
    assert main([*words, "--operators", "gpu", "--precision", "fp16,fp32"]) == 0
    more = ["--bundle", str(bundle), "--rehearse", "--steps", "answers,throughput,latency,words"]
    output = ["--output", str(tmp_path / "out"), "--result", str(tmp_path / "kept")]
    command = [sys.executable, "-m", "benchmarks.records.gpu", str(corpus), *output, *more]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert finished.returncode == 0, finished.stderr
    records = {path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*.json")}
    assert {"answers.json", "throughput.json", "latency.json", "words-xlsr53/record.json"} <= records
    answers = json.loads((tmp_path / "kept/answers.json").read_text())
    assert answers["variants"]["fp32"]["relative_error"] < 1e-4
    latency = json.loads((tmp_path / "kept/latency.json").read_text())
    assert latency["relative_error_of_fp32_pytorch"]["wav2edge fp32"] < 1e-4
    assert [case["batch"] for case in latency["cases"]] == [1, 1]
