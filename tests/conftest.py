"""For every test: what must be set before PyTorch is first imported, and the schema of the manifests they write."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WORDS = Path(__file__).parents[1] / "models/words"

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


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A function that gives a copy of the shipped bundle whose manifest was changed, and sealed again."""
    from wav2edge.bundle.manifest import sealed

    def rewrite(change: Callable[[dict[str, Any]], None]) -> Path:
        folder = tmp_path / f"bundle{len(list(tmp_path.iterdir()))}"
        shutil.copytree(WORDS, folder)
        document = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        change(document)
        (folder / "manifest.json").write_text(sealed(document), encoding="utf-8")
        return folder

    return rewrite
