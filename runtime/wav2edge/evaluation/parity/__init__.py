"""Agreement of a variant with the original: signals, differences, budget and certificate, on any device."""
