"""A bundle on disk or on the Hub: opened by its manifest, checked by its digests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wav2edge.bundle.manifest import MANIFEST, UNSEALED, Manifest, Variant, is_sealed
from wav2edge.errors import BundleError, DataError, DeviceError, UsageError

if TYPE_CHECKING:
    from wav2edge.bundle.hub import HubRepository
    from wav2edge.decoding.hypothesis import Decoder

GPUS = ("cuda", "tensorrt")
ON_GPUS = ("fp16", "fp32")
"""Variants that run on GPUs, the best first; the others are quantised in ways that only CPUs have kernels for."""
GRAPHS = "onnx"
CERTIFICATE = "certificate.json"
GOLDEN = "golden.json"
ORIGINAL = "original.json"
ORIGINAL_OUTPUTS = "original.npz"


CHECKPOINT_CONFIG = "config.json"
CHECKPOINT_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""What a transformers checkpoint holds, and a bundle without a manifest does not: weights next to a configuration."""
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def is_hub_name(source: str | PathLike[str]) -> bool:
    """Whether a source is a name on the Hub, such as ``owner/name``; what is there as a path is not."""
    return isinstance(source, str) and HUB_NAME.fullmatch(source) is not None and not Path(source).exists()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal, read in pieces; releases the GIL meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder with a manifest. No other file in it is trusted before it is checked against the manifest.

    ``repository`` is where a file comes from that is not in the folder yet; None for a bundle that is complete.
    """

    folder: Path
    manifest: Manifest
    repository: HubRepository | None = None

    @classmethod
    def open(cls, source: str | PathLike[str], *, revision: str | None = None) -> Bundle:
        """Read the manifest of a bundle.

        Args:
            source: a folder, or a name on the Hub such as ``owner/name``, whose other files are fetched when they are
                needed.
            revision: a branch, a tag or a commit on the Hub; the main branch where None.

        Raises:
            BundleError: there is none, or it is damaged or newer than this version.
            MissingDependencyError: it is a name on the Hub, and ``huggingface_hub`` is not installed.
            UsageError: a folder has no revisions.
        """
        if is_hub_name(source):
            from wav2edge.bundle.hub import open_manifest  # here: most bundles are folders

            repository, path = open_manifest(str(source), revision)
        elif revision is not None:
            raise UsageError(f"{source}: a folder, which has no revisions as a name on the Hub has; leave it out")
        else:
            repository, path = None, Path(source) / MANIFEST
        content = b""
        try:
            content = path.read_bytes()
            manifest = Manifest.from_json(content)
        except (FileNotFoundError, NotADirectoryError):
            raise _not_a_bundle(path.parent) from None
        except OSError as error:
            raise BundleError(f"{path}: {error.strerror}; check its permissions") from None
        except BundleError as error:
            if repository is not None and not is_sealed(content):
                raise BundleError(f"{path}: {UNSEALED}; {repository.discard(path)}") from None
            raise BundleError(f"{path}: {error}") from None
        return cls(folder=path.parent, manifest=manifest, repository=repository)

    def variant(self, name: str | None = None, *, device: str = "cpu", language: str | None = None) -> Variant:
        """A graph of the bundle by its name.

        Args:
            name: where None the default one, or on a GPU the first of ``ON_GPUS`` that the bundle has.
            device: where it is to run.
            language: of a bundle in several languages; where None that of its default variant.

        Raises:
            BundleError: there is no such variant, or no such language.
            DeviceError: it is quantised for CPUs, and the device is a GPU.
        """
        variants, on_gpu = self._in_language(language), device in GPUS
        by_precision = {each.precision: each for each in reversed(variants.values())}
        fitting = [each for each in ON_GPUS if each in by_precision] if on_gpu else []
        name = name or (fitting or [self._default(variants)])[0]
        chosen = variants.get(name) or by_precision.get(name)
        if chosen is None and language is None:
            chosen = self.manifest.variants.get(name)  # of another language, by its whole name
        if chosen is None:
            raise BundleError(f"{self.folder}: no variant {name!r}; it has: {', '.join(sorted(variants))}")
        if on_gpu and chosen.precision not in ON_GPUS:
            hint = f"choose the variant {fitting[0]}" if fitting else "export with --operators gpu --precision fp16"
            raise DeviceError(f"{self.folder}: {name} is quantised for CPUs and has no kernels on {device}; {hint}")
        return chosen

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages of the variants, that of the default one first; none where the model has no adapters."""
        variants = self.manifest.variants
        found = [variants[self.manifest.default_variant].language, *(each.language for each in variants.values())]
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def _in_language(self, language: str | None) -> dict[str, Variant]:
        """The variants in a language, that of the default where None."""
        variants = self.manifest.variants
        wanted = variants[self.manifest.default_variant].language if language is None else language
        found = {name: each for name, each in variants.items() if each.language == wanted}
        if not found:
            languages = ", ".join(self.languages) or "none, so leave the language out"
            raise BundleError(f"{self.folder}: nothing in the language {language!r}; it has: {languages}")
        return found

    def _default(self, variants: Mapping[str, Variant]) -> str:
        """The default variant, or in another language that of its precision."""
        default = self.manifest.default_variant
        precision = self.manifest.variants[default].precision
        alike = (name for name, each in variants.items() if each.precision == precision)
        return default if default in variants else next(alike, next(iter(variants)))

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
        path = self.folder / name if self.repository is None else self.repository.fetch(name)
        try:
            size_bytes = path.stat().st_size
        except OSError:
            raise BundleError(f"{path}: missing from the bundle; copy or export it again") from None
        expected_bytes = self.manifest.files[name].size_bytes
        if size_bytes != expected_bytes:
            raise self._damaged(path, f"{size_bytes} bytes where the manifest says {expected_bytes}")
        return path

    def check_hash(self, name: str) -> None:
        """Compare the digest of a listed file with the manifest's.

        Raises:
            BundleError: it is missing or differs.
        """
        path = self.check_size(name)
        if sha256_of(path) != self.manifest.files[name].sha256:
            raise self._damaged(path, "damaged, its SHA-256 is not the manifest's")

    def _damaged(self, path: Path, fault: str) -> BundleError:
        """The error of a file that is not what the manifest says; a cached one is taken out of the cache."""
        remedy = "copy or export it again" if self.repository is None else self.repository.discard(path)
        return BundleError(f"{path}: {fault}; {remedy}")

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
    if folder.is_file():
        around = next((parent for parent in folder.parents[:2] if (parent / MANIFEST).is_file()), None)
        remedy = "give the folder that `wav2edge export` wrote" if around is None else f"give its folder, {around}"
        return BundleError(f"{folder}: not a bundle but a file; {remedy}")
    if not folder.is_dir():
        return BundleError(f"{folder}: not a bundle, there is no such folder; check the path")
    weights = (path for pattern in CHECKPOINT_WEIGHTS for path in folder.glob(pattern))
    if (folder / CHECKPOINT_CONFIG).is_file() and any(weights):
        return BundleError(
            f"{folder}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {folder} --output BUNDLE"
        )
    return BundleError(f"{folder}: not a bundle, it has no {MANIFEST}; give the folder that `wav2edge export` wrote")
