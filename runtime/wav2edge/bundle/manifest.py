"""``manifest.json``: the description of a bundle and the digests of its files, to and from JSON.

The format is documented in ``docs/bundle.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from wav2edge.bundle.geometry import SAMPLE_RATE_HZ, ConvGeometry
from wav2edge.bundle.heads import Heads
from wav2edge.errors import BundleError
from wav2edge.output.documents import strict_json, take

FORMAT = "wav2edge-bundle"
FORMAT_VERSION = 2
SEALED_SINCE = 2
"""The first version whose manifests end with a digest of themselves."""
MANIFEST = "manifest.json"
SEAL = "content_sha256"
"""The last key of a manifest: the digest of every byte above its line."""
UNSEALED = "damaged or altered, its last line is not the SHA-256 of what is above it"

if TYPE_CHECKING:
    from wav2edge.bundle.cached_streams import CachedStreams

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """Digest (hexadecimal) and size of a file of the bundle."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One graph of the model: its file, its precision, and the operators it consists of.

    ``target`` is the instruction set that its int8 MatMuls are quantised for; None without int8 MatMuls. A ``batched``
    graph takes an attention mask, and gives for each clip of a padded batch what it gives for the clip alone.
    ``language`` is the one whose adapter it has; None where the model has none. ``heads`` are those of a language that
    is not the bundle's first; None where they are the manifest's.
    """

    file: str
    precision: str
    operators: str
    target: str | None = None
    batched: bool = False
    language: str | None = None
    heads: Heads | None = None

    @property
    def name(self) -> str:
        """What selects it: its precision, and behind it the language where that is not the bundle's own."""
        return self.precision if self.heads is None else f"{self.precision}-{self.language}"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an engine needs to know before it opens a graph.

    ``parameters`` and ``macs_per_s`` (multiply-accumulates per second of audio) are the size and the cost of the model.
    ``certified_up_to_s`` is the longest audio that the certificate covers, in seconds; None where it covers none.
    ``longest_clip_s`` is the longest clip that the model was trained on, in seconds; None where it is not known.
    ``word_times`` is whether the certificates bear out the times of words; None where they do not say.
    ``trims_silence`` is whether leaving out the silence at the ends of clips lost nothing; None: that is not known.
    ``confidence_temperature`` is what the logits of a head, by its name, are divided by to give confidences; None where
    there were no clips to find it on.
    ``decoder`` describes what turns logits into transcripts, as ``wav2edge.bundle.stored_decoder`` reads it; None: the
    best token of each frame.
    ``stream`` describes the graphs that recognise streams; None where there are none.
    ``made_with`` holds the versions of the packages that wrote the bundle.
    ``is_sealed`` is whether the file ended with its own digest: one of format version 1 did not.
    """

    name: str
    model_type: str
    heads: Heads
    geometry: ConvGeometry
    variants: Mapping[str, Variant]
    default_variant: str
    files: Mapping[str, FileRecord]
    parameters: int
    macs_per_s: int
    certified_up_to_s: float | None = None
    longest_clip_s: float | None = None
    word_times: bool | None = None
    trims_silence: bool | None = None
    confidence_temperature: Mapping[str, float] | None = None
    decoder: Mapping[str, Any] | None = None
    stream: CachedStreams | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)
    is_sealed: bool = True

    def __post_init__(self) -> None:
        if self.default_variant not in self.variants:
            raise ValueError(f"the default variant {self.default_variant!r} is not among {sorted(self.variants)}")
        for variant in self.variants.values():
            if variant.file not in self.files:
                raise ValueError(f"the variant {variant.precision} names {variant.file!r}, which is not listed")
        for precision, file in (self.stream.files if self.stream else {}).items():
            if file not in self.files:
                raise ValueError(f"the stream {precision} names {file!r}, which is not listed")
        if self.geometry.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"'sample_rate_hz' is {self.geometry.rate_hz}; only {SAMPLE_RATE_HZ} is supported")
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ValueError(f"the file name {name!r} points outside the bundle")

    def to_json(self) -> str:
        """The manifest as JSON text, sealed; keys in a fixed order."""
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "model_type": self.model_type,
            "sample_rate_hz": self.geometry.rate_hz,
            "conv_kernels": list(self.geometry.kernels),
            "conv_strides": list(self.geometry.strides),
            "heads": self.heads.to_dict(),
            "variants": {name: _variant_to_dict(variant) for name, variant in self.variants.items()},
            "default_variant": self.default_variant,
            "parameters": self.parameters,
            "macs_per_s": self.macs_per_s,
            "certified_up_to_s": self.certified_up_to_s,
            "longest_clip_s": self.longest_clip_s,
            "word_times": self.word_times,
            "trims_silence": self.trims_silence,
            "confidence_temperature": self.confidence_temperature and dict(self.confidence_temperature),
            "decoder": self.decoder and dict(self.decoder),
            "stream": self.stream and self.stream.to_dict(),
            "files": {name: vars(record) for name, record in sorted(self.files.items())},
            "made_with": dict(self.made_with),
        }
        return sealed(document)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read and check a manifest.

        Raises:
            BundleError: it is not JSON, not a bundle's manifest, newer than this version, not as it was written, or
                incomplete. The message does not name the file.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"not JSON ({error}); export the bundle again") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise BundleError(f"not a {FORMAT}; is this the right folder?")
        version = document.get("format_version")
        if not isinstance(version, int) or version < 1:
            raise BundleError(f"'format_version' is {version!r}, not a version; export the bundle again")
        if version > FORMAT_VERSION:
            raise BundleError(
                f"format version {version} is newer than {FORMAT_VERSION}, the newest this wav2edge reads;"
                " upgrade: pip install -U wav2edge"
            )
        has_seal = is_sealed(text if isinstance(text, bytes) else text.encode())
        if not has_seal and (version >= SEALED_SINCE or SEAL in document):
            raise BundleError(f"{UNSEALED}; copy or export it again")
        try:
            return _from_document(document, has_seal)
        except (ValueError, TypeError) as error:
            raise BundleError(f"{error}; export the bundle again") from None


def _from_document(document: Mapping[str, Any], has_seal: bool) -> Manifest:
    return Manifest(
        name=take(document, "name", str),
        model_type=take(document, "model_type", str),
        heads=Heads.from_dict(take(document, "heads", dict)),
        geometry=ConvGeometry(
            kernels=tuple(take(document, "conv_kernels", list)),
            strides=tuple(take(document, "conv_strides", list)),
            rate_hz=take(document, "sample_rate_hz", int),
        ),
        variants=_take_records(document, "variants", Variant, heads=Heads.from_dict),
        default_variant=take(document, "default_variant", str),
        files=_take_records(document, "files", FileRecord),
        parameters=take(document, "parameters", int),
        macs_per_s=take(document, "macs_per_s", int),
        certified_up_to_s=_take_seconds(document, "certified_up_to_s"),
        longest_clip_s=_take_seconds(document, "longest_clip_s"),
        word_times=None if document.get("word_times") is None else take(document, "word_times", bool),
        trims_silence=None if document.get("trims_silence") is None else take(document, "trims_silence", bool),
        confidence_temperature=_take_temperatures(document, "confidence_temperature"),
        decoder=None if document.get("decoder") is None else take(document, "decoder", dict),
        stream=_stream(document),
        made_with=take(document, "made_with", dict),
        is_sealed=has_seal,
    )


def _stream(document: Mapping[str, Any]) -> CachedStreams | None:
    if document.get("stream") is None:
        return None
    from wav2edge.bundle.cached_streams import CachedStreams  # here: most bundles have none

    return CachedStreams.from_dict(take(document, "stream", dict))


def _take_seconds(document: Mapping[str, Any], key: str) -> float | None:
    value = document.get(key)
    if value is not None and (not isinstance(value, (int, float)) or not value > 0):
        raise ValueError(f"{key!r} is {value!r}, not a number of seconds")
    return value


def _take_temperatures(document: Mapping[str, Any], key: str) -> dict[str, float] | None:
    if document.get(key) is None:
        return None
    found = take(document, key, dict)
    for head, value in found.items():
        if not isinstance(value, (int, float)) or not 0 < value < inf:
            raise ValueError(f"{head!r} in {key!r} is {value!r}, not a positive number")
    return found


def _take_records(
    document: Mapping[str, Any], key: str, kind: type[Kind], **readers: Callable[[Any], Any]
) -> dict[str, Kind]:
    """Records of one kind by their names; ``readers`` read the fields that are no plain values."""
    records = {}
    for name, record in take(document, key, dict).items():
        try:
            read = {each: readers[each](record[each]) for each in readers if each in record}
            records[name] = kind(**{**record, **read})
        except TypeError:
            raise ValueError(f"{name!r} in {key!r} has a missing or an unknown key") from None
    return records


def _variant_to_dict(variant: Variant) -> dict[str, Any]:
    written = {name: value for name, value in vars(variant).items() if value is not None}
    return written if variant.heads is None else {**written, "heads": variant.heads.to_dict()}


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those packages that are installed, by name."""
    from importlib import metadata  # here: costs the import of wav2edge 15 ms

    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def sealed(document: Mapping[str, Any]) -> str:
    """A manifest's document as JSON text that ends with its seal; one that it has already is made anew.

    A seal shows damage and edits, not who wrote a manifest: whoever edits one on purpose can seal it again.
    """
    text = strict_json({key: value for key, value in document.items() if key != SEAL})
    above = text.removesuffix("\n}") + ",\n"
    return above + _seal(above.encode())


def is_sealed(content: bytes) -> bool:
    """Whether the end of a manifest is the seal of what is above it, byte for byte."""
    above = content[: -len(_seal(b""))]
    return content == above + _seal(above).encode()


def _seal(above: bytes) -> str:
    return f'  "{SEAL}": "{sha256(above).hexdigest()}"\n}}\n'
