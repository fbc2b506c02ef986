"""Quality and speed of a model: data sets, reports, agreement with the original, latency."""
