"""From speech and labels to a wav2vec2 checkpoint with a CTC head, a classification head, or both."""

import os

# PyTorch's threads spin while they wait for each other. On cores that something else is using too, a small model then
# answers a hundred times slower (measured: 0.25 s instead of 2 ms); waiting passively costs nothing to speak of. It is
# read when PyTorch is first imported, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
