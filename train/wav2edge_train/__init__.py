"""From speech and labels to a wav2vec2 checkpoint with a CTC head, a classification head, or both."""

import os

# PyTorch's threads spin while they wait for each other, by default for milliseconds. On cores that something else uses
# too, each wait then lasts until the scheduler comes round, and a small model runs a hundred times slower (measured:
# 0.25 s instead of 2 ms). A few microseconds of spinning cost nothing on idle cores and little on busy ones. libgomp
# reads it when PyTorch is first imported, hence here.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
