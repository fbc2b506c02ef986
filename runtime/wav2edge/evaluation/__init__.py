"""How well a model answers a data set, and how fast: reports, parity, latency."""
