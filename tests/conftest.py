"""For every test: what must be set before PyTorch is first imported."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see wav2edge_train/__init__.py
os.environ.setdefault("HF_HUB_OFFLINE", "1")
