"""For every test: what must be set before PyTorch is first imported, and the schema of the manifests they write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # see wav2edge_train/__init__.py
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True, scope="session")
def every_written_manifest_matches_its_schema() -> Iterator[None]:
    from tests.manifest_schema import VALIDATOR
    from wav2edge.bundle.manifest import Manifest

    write = Manifest.to_json

    def to_json(manifest: Manifest) -> str:
        text = write(manifest)
        VALIDATOR.validate(json.loads(text))
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Manifest, "to_json", to_json)
        yield
