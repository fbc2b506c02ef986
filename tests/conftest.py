"""For every test: what must be set before PyTorch is first imported."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # see wav2edge_train/__init__.py
os.environ.setdefault("HF_HUB_OFFLINE", "1")
