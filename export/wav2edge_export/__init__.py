"""From a PyTorch checkpoint to a certified ONNX bundle."""

import wav2edge_train  # noqa: F401 - before PyTorch is imported: it settles how PyTorch's threads wait
