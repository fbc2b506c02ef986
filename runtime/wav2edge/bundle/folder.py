"""A bundle on disk: opened by its manifest, checked by its digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.manifest import MANIFEST, Manifest, Variant
from wav2edge.errors import BundleError, DataError, DeviceError, UsageError

if TYPE_CHECKING:
    from wav2edge.decoding.hypothesis import Decoder

GPUS = ("cuda", "tensorrt")
ON_GPUS = ("fp16", "fp32")
"""Variants that run on GPUs, the best first; the others are quantised in ways that only CPUs have kernels for."""
CERTIFICATE = "certificate.json"
GOLDEN = "golden.json"
ORIGINAL = "original.json"
ORIGINAL_OUTPUTS = "original.npz"


CHECKPOINT_CONFIG = "config.json"
CHECKPOINT_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""What a transformers checkpoint holds, and a bundle without a manifest does not: weights next to a configuration."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal, read in pieces; releases the GIL meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder with a manifest. No other file in it is trusted before it is checked against the manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | PathLike[str]) -> Bundle:
        """Read the manifest of a bundle.

        Raises:
            BundleError: there is none, or it is damaged or newer than this version.
        """
        path = Path(folder) / MANIFEST
        try:
            return cls(folder=Path(folder), manifest=Manifest.from_json(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise _not_a_bundle(Path(folder)) from None
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}; check its permissions") from None
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None

    def variant(self, name: str | None = None, *, device: str = "cpu") -> Variant:
        """A graph of the bundle by its name.

        Args:
            name: where None the default one, or on a GPU the first of ``ON_GPUS`` that the bundle has.
            device: where it is to run.

        Raises:
            BundleError: there is no such variant.
            DeviceError: it is quantised for CPUs, and the device is a GPU.
        """
        variants, on_gpu = self.manifest.variants, device in GPUS
        fitting = [each for each in ON_GPUS if each in variants] if on_gpu else []
        name = name or (fitting or [self.manifest.default_variant])[0]
        if name not in variants:
            raise BundleError(f"{self.folder}: no variant {name!r}; it has: {', '.join(sorted(variants))}")
        if on_gpu and name not in ON_GPUS:
            hint = f"choose the variant {fitting[0]}" if fitting else "export with --operators gpu --precision fp16"
            raise DeviceError(f"{self.folder}: {name} is quantised for CPUs and has no kernels on {device}; {hint}")
        return variants[name]

    def decoder(self) -> Decoder | None:
        """The decoder that the bundle decodes with by default; None: the best token of each frame.

        Raises:
            BundleError: its description is damaged, or its language model.
        """
        stored = self.manifest.decoder
        if stored is None:
            return None
        from wav2edge.bundle.stored_decoder import described_decoder  # here: most bundles have none

        for options in stored.values():
            if isinstance(options, dict) and options.get("lm") is not None:
                self.checked(str(options["lm"]))
        try:
            return described_decoder(stored, self.folder)
        except (UsageError, DataError) as error:
            raise BundleError(f"{self.folder}: its decoder cannot be made, {error}; export the bundle again") from None

    def check_size(self, name: str) -> Path:
        """Path of a listed file, after checking its size only: quick enough for every load.

        Raises:
            BundleError: it is missing or has another size.
        """
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
        """Compare the digest of a listed file with the manifest's.

        Raises:
            BundleError: it is missing or differs.
        """
        path = self.check_size(name)
        if sha256_of(path) != self.manifest.files[name].sha256:
            raise BundleError(f"{path}: damaged, its SHA-256 is not the manifest's; copy or export it again")

    def manifest_sha256(self) -> str:
        """Digest of the manifest itself, and so of the whole bundle, since the manifest lists the other digests."""
        return sha256_of(self.folder / MANIFEST)

    def unlisted_files(self) -> Iterator[str]:
        """Files in the folder that the manifest does not list.

        Hidden ones are skipped: the Hub adds ``.gitattributes`` to a model repository, and ``.cache`` to a copy.
        """
        known = {*self.manifest.files, MANIFEST}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in name.parts)
            if path.is_file() and not hidden and name.as_posix() not in known:
                yield name.as_posix()

    def checked(self, name: str) -> Path:
        """Path of a listed file, after checking its digest.

        Raises:
            BundleError: the bundle has no such file, or it is damaged.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.folder}: has no {name}; export it again")
        self.check_hash(name)
        return self.folder / name

    def read_json(self, name: str) -> Any:
        """Content of a listed JSON file, after checking its digest."""
        return json.loads(self.checked(name).read_bytes())


def _not_a_bundle(folder: Path) -> BundleError:
    weights = (path for pattern in CHECKPOINT_WEIGHTS for path in folder.glob(pattern))
    if (folder / CHECKPOINT_CONFIG).is_file() and any(weights):
        return BundleError(
            f"{folder}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {folder} --output BUNDLE"
        )
    return BundleError(
        f"{folder}: not a bundle, it has no {MANIFEST}; make one: wav2edge export CHECKPOINT --output {folder}"
    )
