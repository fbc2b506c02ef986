"""Rules for convolutions: each becomes frame stacking and a Linear, or stays the one that ONNX Runtime is fast at."""
