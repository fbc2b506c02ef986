"""A bundle on disk: opened by its manifest, checked by its hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from wav2edge.bundle.manifest import MANIFEST, Manifest, Variant
from wav2edge.errors import BundleError

CERTIFICATE = "certificate.json"
GOLDEN = "golden.json"
ORIGINAL = "original.json"
ORIGINAL_OUTPUTS = "original.npz"


def sha256_of(path: Path) -> str:
    """Digest of a file's content, read in pieces; the lock on Python is released meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder that holds a committed manifest. Nothing else is trusted before it is checked against it."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | PathLike[str]) -> Bundle:
        """Read the manifest of a bundle.

        Raises:
            BundleError: there is none, or it cannot be used.
        """
        path = Path(folder) / MANIFEST
        try:
            return cls(folder=Path(folder), manifest=Manifest.from_json(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            if (Path(folder) / "config.json").is_file():
                raise BundleError(
                    f"{folder}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {folder} --output BUNDLE"
                ) from None
            raise BundleError(
                f"{folder}: not a bundle, it has no {MANIFEST}; make one: wav2edge export CHECKPOINT --output {folder}"
            ) from None
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}; check its permissions") from None
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None

    def variant(self, name: str | None = None) -> Variant:
        """A graph of the bundle; the default one without a name."""
        variants = self.manifest.variants
        name = name or self.manifest.default_variant
        if name not in variants:
            raise BundleError(f"{self.folder}: no variant {name!r}; it has: {', '.join(sorted(variants))}")
        return variants[name]

    def check_size(self, name: str) -> Path:
        """Path of a listed file, once its size is right: quick enough for every load."""
        record, path = self.manifest.files[name], self.folder / name
        try:
            size_bytes = path.stat().st_size
        except OSError:
            raise BundleError(f"{path}: missing from the bundle; copy or export it again") from None
        if size_bytes != record.size_bytes:
            raise BundleError(
                f"{path}: {size_bytes} bytes where the manifest says {record.size_bytes}; copy or export it again"
            )
        return path

    def check_hash(self, name: str) -> None:
        """Compare a listed file with its digest, bit by bit.

        Raises:
            BundleError: it is missing or differs.
        """
        path = self.check_size(name)
        if sha256_of(path) != self.manifest.files[name].sha256:
            raise BundleError(f"{path}: damaged, its SHA-256 is not the manifest's; copy or export it again")

    def unlisted_files(self) -> Iterator[str]:
        """Files that lie in the folder and that the manifest does not know.

        Hidden ones are passed over: the Hub adds ``.gitattributes`` to a model repository, and ``.cache`` to a copy.
        """
        known = {*self.manifest.files, MANIFEST}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not hidden and name.as_posix() not in known:
                yield name.as_posix()

    def checked(self, name: str) -> Path:
        """Path of a listed file, after its hash was checked.

        Raises:
            BundleError: the bundle has no such file, or it is damaged.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.folder}: has no {name}; export it again")
        self.check_hash(name)
        return self.folder / name

    def read_json(self, name: str) -> Any:
        """Content of a listed JSON file, after its hash was checked."""
        return json.loads(self.checked(name).read_bytes())
