"""Throughput of the training loop compared with a bare one."""

import pytest

from benchmarks.records.gpu import training_throughput
from benchmarks.records.gpu.gpu_meter import GpuMeter, busy_share
from benchmarks.records.gpu.training_throughput import Round, compare, summary


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
