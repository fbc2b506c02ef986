"""The systems that are compared: a table from a name to its build, its runner, and the checkpoints it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util

from wav2edge.errors import UsageError
from wav2edge_compare.peers.checkpoint_facts import NEW_WEIGHTS, CheckpointFacts

ALL = "all"
OURS = "wav2edge"
ORIGINAL = "torch"
"""The system whose outputs the others are compared with."""


@dataclass(frozen=True, kw_only=True)
class System:
    """One system.

    ``model`` names its build, or ``checkpoint``; ``runner`` names the function that loads it, called with
    ``arguments``. ``modules`` must be importable, and the report shows the versions of ``packages``. The size of the
    model is that of ``files``. ``settings`` describes how it is run. ``refuses`` gives the reason where it cannot load
    a checkpoint. ``log_probabilities``: it returns them instead of logits.
    """

    name: str
    title: str
    model: str
    runner: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    files: tuple[str, ...]
    settings: str
    arguments: Mapping[str, int] = field(default_factory=dict)
    refuses: Callable[[CheckpointFacts], str | None] = field(default=lambda facts: None)
    log_probabilities: bool = False

    @property
    def missing(self) -> str | None:
        """Why it cannot run here: the first module that is not installed; None if all are."""
        for module in self.modules:
            if not _importable(module):
                return MISSING.get(module, f"{module} is not installed; run: pip install 'wav2edge[compare]'")
        return None

    @property
    def versions(self) -> dict[str, str]:
        """Installed versions of its packages."""
        return {name: metadata.version(name) for name in self.packages}


def _importable(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is not installed
        return False


MISSING = {
    "onnx_asr.models.wav2vec2": (
        "the installed onnx-asr has no wav2vec2 model: releases up to 0.12.0 lack it, its development version has it"
    ),
}
"""Module -> why it may be missing although its package is installed."""


def _needs_ctc(facts: CheckpointFacts) -> str | None:
    return None if facts.transcribes else "it runs CTC models, and the checkpoint only classifies"


CTRANSLATE2_POSITIONS = (128, 16)
"""Kernel and groups of the positional convolution, constants in CTranslate2."""


def _needs_xlsr_kind(facts: CheckpointFacts) -> str | None:
    if facts.config.get("model_type") != "wav2vec2":
        return f"it converts wav2vec2 models, and the checkpoint is of type {facts.config.get('model_type')}"
    if not facts.layer_norm:
        return "its converter expects a layer norm and a bias in each convolution, and the checkpoint has a group norm"
    if facts.positional_convolution != CTRANSLATE2_POSITIONS:
        return "its positional convolution has a fixed kernel of {} in {} groups".format(*CTRANSLATE2_POSITIONS)
    return _needs_ctc(facts)


ONNX_FILES = ("*.onnx", "*.onnx_data")
TORCH = ("torch", "transformers")
OPTIMUM = ("optimum-onnx", "onnxruntime")

PEERS = {
    system.name: system
    for system in (
        System(
            name=ORIGINAL,
            title="PyTorch, eager, fp32",
            model="checkpoint",
            runner="torch",
            packages=TORCH,
            modules=TORCH,
            files=NEW_WEIGHTS,
            settings="inference mode, transformers' default attention; all heads of the checkpoint",
        ),
        System(
            name="torch-compile",
            title="PyTorch, torch.compile, fp32",
            model="checkpoint",
            runner="torch-compile",
            packages=TORCH,
            modules=TORCH,
            files=NEW_WEIGHTS,
            settings="default mode, compiled for the one clip length of its process; the compiler's cache is kept",
        ),
        System(
            name="pipeline",
            title="transformers pipeline, fp32",
            model="ctc",
            runner="pipeline",
            packages=TORCH,
            modules=TORCH,
            files=NEW_WEIGHTS,
            settings="timed from the waveform to the text, since it returns no logits",
            refuses=_needs_ctc,
        ),
        System(
            name="onnxruntime",
            title="ONNX Runtime, plain Optimum export, fp32",
            model="onnx",
            runner="optimum",
            packages=OPTIMUM,
            modules=("optimum.onnxruntime", "onnxruntime"),
            files=ONNX_FILES,
            settings="ORTModelForCTC, numpy in and out, threads spinning",
            refuses=_needs_ctc,
        ),
        System(
            name="optimum-int8",
            title="ONNX Runtime, Optimum's dynamic int8",
            model="optimum-int8",
            runner="optimum",
            packages=OPTIMUM,
            modules=("optimum.onnxruntime", "onnxruntime"),
            files=ONNX_FILES,
            settings="ORTQuantizer, the recipe for this processor, without Conv; ORTModelForCTC, threads spinning",
            refuses=_needs_ctc,
        ),
        System(
            name="openvino-w8",
            title="OpenVINO, NNCF int8 weights",
            model="openvino-w8",
            runner="openvino",
            packages=("openvino", "nncf"),
            modules=("openvino", "nncf"),
            files=("*.xml", "*.bin"),
            settings="compress_weights INT8_SYM, default activation groups; performance hint LATENCY",
            refuses=_needs_ctc,
        ),
        System(
            name="openvino-w8-g1024",
            title="OpenVINO, NNCF int8 weights, groups of 1024",
            model="openvino-w8",
            runner="openvino",
            arguments={"group_size": 1024},
            packages=("openvino", "nncf"),
            modules=("openvino", "nncf"),
            files=("*.xml", "*.bin"),
            settings="compress_weights INT8_SYM, DYNAMIC_QUANTIZATION_GROUP_SIZE 1024; performance hint LATENCY",
            refuses=_needs_ctc,
        ),
        System(
            name="openvino-int8",
            title="OpenVINO, NNCF full int8",
            model="openvino-int8",
            runner="openvino",
            packages=("openvino", "nncf"),
            modules=("openvino", "nncf"),
            files=("*.xml", "*.bin"),
            settings="quantize with model type TRANSFORMER, calibrated on {calibration}; performance hint LATENCY",
            refuses=_needs_ctc,
        ),
        System(
            name="ctranslate2",
            title="CTranslate2, int8",
            model="ctranslate2",
            runner="ctranslate2",
            packages=("ctranslate2",),
            modules=("ctranslate2",),
            files=("model.bin",),
            settings="compute type int8, intra_threads",
            refuses=_needs_xlsr_kind,
        ),
        System(
            name="onnx-asr",
            title="onnx-asr, fp32",
            model="onnx-asr",
            runner="onnx-asr",
            packages=("onnx-asr", "onnxruntime"),
            modules=("onnx_asr", "onnx_asr.models.wav2vec2", "onnxruntime"),
            files=ONNX_FILES,
            settings="its own export form, threads spinning; log-probabilities, without its decoding",
            refuses=_needs_ctc,
            log_probabilities=True,
        ),
    )
}
"""Name on the command line -> system, slowest family first."""


def our_system(variant: str) -> System:
    """A variant of our bundle as a system."""
    return System(
        name=f"{OURS}-{variant}",
        title=f"wav2edge, {variant}",
        model="bundle",
        runner="wav2edge",
        packages=("onnxruntime",),
        modules=("onnxruntime",),
        files=(),
        settings="wav2edge.load, spinning on; all heads of the checkpoint",
    )


def choose_peers(names: str) -> tuple[System, ...]:
    """The systems that ``--against`` names.

    Raises:
        UsageError: a name is unknown or repeated.
    """
    chosen = list(PEERS) if names == ALL else names.split(",")
    unknown = [name for name in chosen if name not in PEERS]
    if unknown or len(set(chosen)) != len(chosen):
        raise UsageError(f"--against takes {ALL}, or unique names of {', '.join(PEERS)}; got {names!r}")
    return tuple(PEERS[name] for name in chosen)
