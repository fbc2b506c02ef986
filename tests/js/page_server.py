"""Starts the page's server for tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SERVER = Path(__file__).parents[2] / "runtime" / "js" / "page" / "serve.mjs"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is absent; the page's server needs it")


@dataclass(frozen=True, kw_only=True)
class Page:
    """A server that runs, and its address."""

    url: str
    process: subprocess.Popen[str]

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)


@contextmanager
def served(bundles: Mapping[str, Path], modules: Path, *options: str) -> Iterator[Page]:
    """A server on a free port, until the block ends."""
    named = [word for name, folder in bundles.items() for word in ("--bundle", f"{name}={folder}")]
    command = ["node", str(SERVER), "--port", "0", "--modules", str(modules), *named, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), "the server did not start"
            yield Page(url=url, process=process)
        finally:
            process.kill()


def fake_modules(folder: Path) -> Path:
    """A node_modules folder with files where onnxruntime-web has its own."""
    files = folder / "onnxruntime-web" / "dist"
    files.mkdir(parents=True)
    (files / "runtime.wasm").write_bytes(b"\0asm\1\0\0\0")
    (files / "runtime.mjs").write_text("export const nothing = null;\n")
    return folder
