"""Does a variant answer like the original: signals, comparison, budget and certificate, wherever it runs."""
