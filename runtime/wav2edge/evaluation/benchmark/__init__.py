"""Benchmark of one bundle on this machine: latency, load, cold start and memory, one process per measurement."""
