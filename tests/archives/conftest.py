from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.runtime import tiny_bundle
from tests.runtime.conftest import *  # noqa: F403

LENGTHS = (16_000, 8_000, 12_345, 4_000, 20_000, 9_999, 6_400)


def sound(samples: int, kind: str = "WAV") -> bytes:
    """The content of a file of noise."""
    content = io.BytesIO()
    soundfile.write(content, tiny_bundle.noise(samples, seed=samples), 16_000, format=kind)
    return content.getvalue()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder of clips, one of them silent."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number, samples in enumerate(LENGTHS):
        (folder / f"{number}.wav").write_bytes(sound(samples))
    soundfile.write(folder / "silent.wav", np.zeros(8_000), 16_000)
    return folder


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar of members."""

    def make(name: str, members: Mapping[str, bytes], mode: str = "w") -> Path:
        path = tmp_path / name
        with tarfile.open(path, mode) as tar:
            for member, content in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path

    return make


@pytest.fixture
def make_parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write a Parquet file of columns."""
    import pyarrow
    from pyarrow import parquet

    def make(name: str, columns: Mapping[str, Iterable[Any]]) -> Path:
        path = tmp_path / name
        parquet.write_table(pyarrow.table(dict(columns)), path)
        return path

    return make


@pytest.fixture
def long_clip(tmp_path: Path) -> Path:
    """A clip for which a ``Gate`` waits."""
    path = tmp_path / "long.wav"
    path.write_bytes(sound(32_000))
    return path
