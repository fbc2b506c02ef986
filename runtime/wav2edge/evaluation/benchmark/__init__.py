"""How fast one bundle answers on this machine: latency, load, cold start and memory, one process a measurement."""

from wav2edge.evaluation.benchmark.latency import BenchmarkPlan, BenchmarkReport, LatencySample, benchmark

__all__ = ["BenchmarkPlan", "BenchmarkReport", "LatencySample", "benchmark"]
