from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from wav2edge import BenchmarkError, UsageError
from wav2edge.bundle.manifest import installed_versions
from wav2edge.evaluation.benchmark.environment import environment
from wav2edge.evaluation.benchmark.latency import BenchmarkPlan, LatencySample, benchmark
from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes

DURATIONS_S = (0.05, 0.2)


@pytest.fixture
def quick(monkeypatch):
    """`wav2edge bench` on short clips, with one cold start."""
    monkeypatch.setattr("wav2edge.cli.commands.bench.BenchmarkPlan", functools.partial(BenchmarkPlan, cold_starts=1))
    monkeypatch.setattr("wav2edge.cli.commands.bench.DURATIONS_S", DURATIONS_S)


@pytest.mark.slow
def test_bench_reports_every_length_and_every_sample(quick, cli, bundle, tmp_path):
    path = tmp_path / "report.json"
    outcome = cli("bench", bundle, "--runs", 3, "--threads", 1, "--variant", "int8", "--json", "--output", path)
    assert (outcome.code, outcome.complaint) == (0, f"wav2edge: wrote {path}")
    report = outcome.json
    assert report == json.loads(path.read_text())
    assert (report["variant"], report["device"], len(report["cold_starts_s"])) == ("int8", "cpu", 1)
    assert [sample["duration_s"] for sample in report["samples"]] == list(DURATIONS_S)
    for sample in report["samples"]:
        assert len(sample["latencies_s"]) == 3
        assert 0 < sample["median_s"] <= sample["p95_s"] <= max(sample["latencies_s"])
        assert sample["real_time_factor"] == pytest.approx(sample["median_s"] / sample["duration_s"])
        assert sample["peak_memory_bytes"] > 10e6
    assert {"processor", "onnxruntime", "numpy", "wav2edge", "physical_cores"} <= set(report["environment"])


@pytest.mark.parametrize(
    ("options", "spinning", "said"),
    [
        ((), False, "threads sleep between calls"),
        (("--no-spinning",), False, "threads sleep between calls"),
        (("--spinning",), True, "threads spin between calls"),
    ],
    ids=["default", "sleeping", "spinning"],
)
def test_bench_measures_what_load_gives_unless_it_is_told_to_spin(cli, bundle, monkeypatch, options, spinning, said):
    loaded = []

    def measured(*words):
        loaded.append(json.loads(words[-1])["load"])
        return json.dumps({"variant": "int8", "device": "cpu", "load_s": 1, "latencies_s": [1], "peak_memory_bytes": 1})

    monkeypatch.setattr("wav2edge.evaluation.benchmark.latency._cold_starts", lambda plan, advance: (1.0,))
    monkeypatch.setattr("wav2edge.evaluation.benchmark.latency.run_python", measured)
    heading = cli("bench", bundle, *options).out.splitlines()[0]
    assert {each["spinning"] for each in loaded} == {spinning}
    assert heading.startswith("variant int8 on cpu, ")
    assert heading.endswith(f", {said}")


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (["--runs", "0"], 2, "runs and cold starts must be at least 1"),
        (["--variant", "fp64"], 3, "no variant 'fp64'"),
        (["--output", "none/report.json"], 2, "its folder does not exist"),
        (["--threads", "0"], 2, "at least 1 is needed"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_a_process_is_started(
    cli, bundle, monkeypatch, options, code, reason
):
    monkeypatch.setattr("subprocess.run", None)
    outcome = cli("bench", bundle, *options)
    assert (outcome.code, outcome.out) == (code, "")
    assert reason in outcome.complaint


def test_a_process_that_fails_is_reported_in_one_line(tmp_path):
    with pytest.raises(BenchmarkError, match=r"a process of the benchmark failed: .*not a bundle"):
        benchmark(BenchmarkPlan(bundle=tmp_path, durations_s=(0.05,), runs=1, cold_starts=1))


@pytest.mark.parametrize("options", [{"durations_s": ()}, {"durations_s": (0,)}, {"runs": 0}, {"cold_starts": 0}])
def test_impossible_plans_are_refused(options):
    with pytest.raises(UsageError):
        BenchmarkPlan(bundle=Path("bundle"), **options)


def test_percentiles_are_those_of_numpy():
    latencies_s = tuple(np.random.default_rng(0).random(40))
    sample = LatencySample(duration_s=2.0, latencies_s=latencies_s, load_s=0.1, peak_memory_bytes=1)
    assert (sample.median_s, sample.p95_s) == (np.median(latencies_s), np.percentile(latencies_s, 95))
    assert sample.real_time_factor == sample.median_s / 2


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux passes a parent's peak on")
def test_the_peak_memory_of_a_process_is_not_that_of_the_one_that_started_it(python):
    code = "from wav2edge.evaluation.benchmark.resident_memory import peak_memory_bytes; print(peak_memory_bytes())"
    ballast = np.ones(25_000_000)
    out, _ = python("-c", code).communicate()
    assert int(out) < ballast.nbytes
    assert peak_memory_bytes() > ballast.nbytes


def test_the_environment_is_ready_for_json():
    found = json.loads(json.dumps(environment(), allow_nan=False))
    assert found["physical_cores"] >= 1
    assert found["processor"]


def test_versions_are_those_of_the_installed_packages_only():
    assert installed_versions(("numpy", "no-such-package")) == {"numpy": np.__version__}
