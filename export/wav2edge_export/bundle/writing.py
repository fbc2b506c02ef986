"""Writes a bundle: its files next to the graphs, the manifest last, and the folder into its place in one step."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wav2edge import __version__
from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, sha256_of
from wav2edge.bundle.heads import Heads
from wav2edge.bundle.manifest import MANIFEST, FileRecord, Manifest, installed_versions
from wav2edge.errors import UsageError
from wav2edge.evaluation.parity.certificate import Certificate
from wav2edge.evaluation.parity.original_record import OriginalRecord
from wav2edge.inference.engine import Engine
from wav2edge.output.documents import write_json
from wav2edge_export.bundle.bundle_card import bundle_card
from wav2edge_export.bundle.certification import SilenceCheck
from wav2edge_export.bundle.golden_file import golden_document
from wav2edge_export.bundle.tokenizer_file import write_tokenizer
from wav2edge_train.checkpoint.durable import sync, sync_folder
from wav2edge_train.checkpoint.loading import Checkpoint

if TYPE_CHECKING:
    from wav2edge_export.bundle.stream_certification import CertifiedStreams

COPIED_FILES = (
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files of the checkpoint that other tools need to load the bundle, where the checkpoint has them."""
MADE_WITH = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu")
AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""``renameat2(2)``: swap two paths in one step."""


def write_bundle(
    folder: Path,
    manifest: Manifest,
    *,
    checkpoint: Checkpoint,
    certificates: Sequence[Certificate],
    silence: SilenceCheck | None,
    streams: CertifiedStreams | None,
    original_record: OriginalRecord,
    engines: Iterable[tuple[str, Engine]],
    license_name: str | None,
) -> None:
    """Write everything but the graphs, which are there; the manifest comes last.

    Args:
        folder: holds the graphs.
        manifest: its ``files`` and ``made_with`` are filled here.
        checkpoint: the original, whose small files are copied.
        certificates: of the variants.
        silence: what leaving it out costs; None where that is not known.
        streams: graphs of streams with their certificates, where there are any.
        original_record: what the original gave for the certificates' signals and clips.
        engines: an engine per precision, taken one by one.
        license_name: what the checkpoint's card names; None where it names none.
    """
    for name in COPIED_FILES:
        if checkpoint.folder is not None and (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    if checkpoint.language is not None:
        _choose_language(folder, checkpoint)
    if manifest.heads.ctc is not None:
        write_tokenizer(folder, manifest.heads.ctc)
    chunked = [] if streams is None else streams.chunked(folder)
    shortest = manifest.geometry.shortest(manifest.heads.fewest_frames)
    write_json(folder / GOLDEN, golden_document(engines, chunked, shortest=shortest))
    about_silence = {} if silence is None else {"silence": asdict(silence)}
    variants = {each.precision: each.to_dict() for each in certificates}
    about_streams = {} if streams is None else {"streams": streams.to_dict(certificates[0])}
    write_json(folder / CERTIFICATE, {"variants": variants, **about_silence, **about_streams})
    original_record.write(folder)
    for chunk_ms, record in (streams.records if streams else {}).items():
        record.write(folder, chunk_ms=chunk_ms)
    report = None if checkpoint.folder is None else checkpoint.folder / "report.json"
    sizes_bytes = {name: (folder / variant.file).stat().st_size for name, variant in manifest.variants.items()}
    card = bundle_card(
        manifest,
        certificates,
        sizes_bytes=sizes_bytes,
        license_name=license_name,
        training_report=report if report and report.is_file() else None,
        plot="frontier.png" if (folder / "frontier.png").is_file() else None,
        streams=None if streams is None else streams.certificates,
    )
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = {path.relative_to(folder).as_posix(): _record(path) for path in folder.rglob("*") if path.is_file()}
    complete = replace(manifest, files=files, made_with={"wav2edge": __version__, **installed_versions(MADE_WITH)})
    (folder / MANIFEST).write_bytes(complete.to_json().encode())


def _choose_language(folder: Path, checkpoint: Checkpoint) -> None:
    """Let the copied files say which language the graphs are in: those of a checkpoint say which its weights are in."""
    chosen = {
        "tokenizer_config.json": {"target_lang": checkpoint.language},
        "config.json": {"vocab_size": checkpoint.model.config.vocab_size},
    }
    for name, values in chosen.items():
        if (folder / name).is_file():
            document = json.loads((folder / name).read_text(encoding="utf-8"))
            write_json(folder / name, {**document, **values})


@dataclass(frozen=True, kw_only=True)
class DecoderFiles:
    """The description of a decoder, and its language model where it has one."""

    description: Mapping[str, Any]
    language_model: Path | None

    def copy_into(self, folder: Path) -> Mapping[str, Any]:
        """Copy the language model; returns the description that fits the copy."""
        if self.language_model is None:
            return self.description
        name = "lm.arpa.gz" if self.language_model.suffix == ".gz" else "lm.arpa"
        shutil.copyfile(self.language_model, folder / name)
        return {kind: {**options, "lm": name} for kind, options in self.description.items()}


def read_decoder(path: Path, heads: Heads) -> DecoderFiles:
    """Read the description of a decoder; paths in it are relative to its folder.

    Raises:
        UsageError: it cannot be read, describes no decoder, or the model cannot be decoded with it.
        DataError: the language model cannot be read.
    """
    from wav2edge.bundle.stored_decoder import described_decoder, language_model_path  # here: most exports have none

    if heads.ctc is None:
        raise UsageError(f"{path}: the model does not transcribe, and needs no decoder; leave --decoder out")
    try:
        description = dict(json.loads(path.read_text(encoding="utf-8")))
        decoder = described_decoder(description, path.parent)
        decoder.decode(np.zeros((1, len(heads.ctc.vocabulary)), np.float32), heads.ctc)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path}: {error}; give a decoder as docs/bundle.md describes it") from None
    return DecoderFiles(description=description, language_model=language_model_path(decoder))


def _record(path: Path) -> FileRecord:
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).exists()


@contextmanager
def staged_folder(target: Path, *, replaceable: Callable[[Path], bool] = _is_bundle) -> Iterator[Path]:
    """A temporary sibling of ``target`` to write in; it takes the target's place when the block ends well.

    An error removes it and leaves the target as it was. A killed process leaves its sibling behind, and the next
    writer takes it away.

    Args:
        target: the folder to write.
        replaceable: whether a folder that is not empty may be replaced; bundles may.

    Raises:
        UsageError: the target is something that may not be replaced.
    """
    if target.exists() and not (target.is_dir() and (replaceable(target) or not any(target.iterdir()))):
        kind = "exists and is not a bundle" if replaceable is _is_bundle else "exists and is not of this layout"
        raise UsageError(f"{target}: {kind}; give another --output")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    stage = Path(tempfile.mkdtemp(prefix=f"{_prefix(target)}{os.getpid()}-", dir=target.parent))
    try:
        yield stage
        stage.chmod(0o755)  # mkdtemp's folder is for its owner alone
        sync_folder(stage)
        _take_place(stage, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    sync(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name}.tmp-"


def _remove_abandoned(target: Path) -> None:
    for path in target.parent.glob(f"{_prefix(target)}*"):
        pid = path.name.removeprefix(_prefix(target)).partition("-")[0]
        if pid.isdecimal() and not _is_running(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _take_place(stage: Path, target: Path) -> None:
    """Put ``stage`` where ``target`` is; what was there is then at ``stage``, to be removed."""
    if not target.exists():
        try:
            os.replace(stage, target)
            return
        except OSError:
            if not target.exists():
                raise  # otherwise another writer came first
    if not _exchange(stage, target):
        # No such system call here: between these two renames there is an instant without a bundle.
        aside = stage.with_name(f"{stage.name}-old")
        os.replace(target, aside)
        os.replace(stage, target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    return bool(rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)
