"""The record of presets on one data set: a training is timed once, and its time stays with its checkpoint."""

import json

from benchmarks.records.accuracy.words import train


class Recorder:
    """Trains by writing a report, and counts how often."""

    def __init__(self):
        self.trainings = 0

    def train_once(self, *words, checkpoint):
        if not (checkpoint / "report.json").is_file():
            self.trainings += 1
            checkpoint.mkdir(parents=True)
            (checkpoint / "report.json").write_text("{}")
        return " ".join(map(str, words))


def test_a_finished_training_is_kept_with_the_time_that_it_took(tmp_path):
    recorder, checkpoint = Recorder(), tmp_path / "checkpoint"
    first = train(recorder, tmp_path, "small", checkpoint)
    assert first["command"].endswith("--preset small")
    assert set(first) == {"command", "processor_s", "wall_s"}
    (tmp_path / "training.json").write_text(json.dumps({"processor_s": 1224.1, "wall_s": 4013.0}))
    again = train(recorder, tmp_path, "small", checkpoint)
    assert recorder.trainings == 1
    assert (again["processor_s"], again["wall_s"]) == (1224.1, 4013.0)


def test_a_checkpoint_from_elsewhere_has_no_time(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "report.json").write_text("{}")
    assert set(train(Recorder(), tmp_path, "small", checkpoint)) == {"command"}
