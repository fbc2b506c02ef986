"""How each peer's model is made from the checkpoint: a table of builds, each from the result of an earlier one.

Run as a module, it makes one of them in a process of its own, so that no library's memory or crash reaches another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wav2edge.inference.cpu import int8_features
from wav2edge_compare.measuring.channel import converse
from wav2edge_compare.peers.runners import normalize

PREPROCESSOR = "preprocessor_config.json"
OPSET = 18

OPTIMUM_RECIPES = {
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx512_vnni",
    "avx512f": "avx512",
    "avx2": "avx2",
    "asimddp": "arm64",
}
"""Processor feature -> the recipe of Optimum's ``AutoQuantizationConfig`` for it, best first."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One step: ``make(source, target, clips)`` writes a folder from the folder that the build ``source`` wrote.

    ``clips`` are calibration clips as ``.npy`` files; only steps with ``calibrated`` get any. ``packages`` are the
    distributions whose versions decide whether an earlier result still counts.
    """

    source: str
    make: Callable[[Path, Path, Sequence[Path]], None]
    packages: tuple[str, ...]
    calibrated: bool = False


def make_ctc(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """The CTC part of a checkpoint as transformers' own class, which every peer reads; its weights are the same."""
    from transformers import HubertForCTC, Wav2Vec2ForCTC

    from wav2edge_train.checkpoint.loading import load_checkpoint

    model = load_checkpoint(source).model
    kind = HubertForCTC if model.config.model_type == "hubert" else Wav2Vec2ForCTC
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("classifier.")}
    ctc = kind(model.config)
    ctc.load_state_dict(weights)
    ctc.save_pretrained(target)
    for path in source.glob("*.json"):
        if not (target / path.name).exists() and path.name not in ("report.json", "model.safetensors.index.json"):
            shutil.copyfile(path, target / path.name)


def make_onnx(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """The plain export of Optimum, as ``optimum-cli export onnx`` makes it."""
    from optimum.exporters.onnx import main_export

    main_export(str(source), target, task="automatic-speech-recognition", opset=OPSET, do_validation=False)


def make_optimum_int8(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """Optimum's dynamic recipe for this processor.

    Its list of operators without ``Conv``: ONNX Runtime has no kernel on CPUs for what the recipe makes of them.
    """
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer
    from optimum.onnxruntime.configuration import ORT_DEFAULT_OPS_DYNAMIC_QUANTIZATION

    operators = [name for name in ORT_DEFAULT_OPS_DYNAMIC_QUANTIZATION if name != "Conv"]
    recipe = getattr(AutoQuantizationConfig, optimum_recipe())
    quantizer = ORTQuantizer.from_pretrained(source, file_name="model.onnx")
    quantizer.quantize(recipe(is_static=False, operators_to_quantize=operators), target)
    _copy_preprocessor(source, target)


def optimum_recipe() -> str:
    """The name of Optimum's recipe for the processor this runs on."""
    features = int8_features()
    return next((recipe for feature, recipe in OPTIMUM_RECIPES.items() if feature in features), "avx2")


def make_openvino_w8(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """NNCF's weight compression to symmetric 8 bits; activations stay in floating point."""
    import nncf
    import openvino

    model = openvino.Core().read_model(source / "model.onnx")
    compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(compressed, target / "model.xml")
    _copy_preprocessor(source, target)


def make_openvino_int8(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """NNCF's full quantisation of weights and activations, calibrated on clips."""
    import nncf
    import openvino

    model = openvino.Core().read_model(source / "model.onnx")
    normalized = json.loads((source / PREPROCESSOR).read_text(encoding="utf-8"))["do_normalize"]

    def prepare(path: Path) -> Any:
        samples = np.load(path)
        return {0: (normalize(samples) if normalized else samples)[None]}

    quantized = nncf.quantize(
        model, nncf.Dataset(list(clips), prepare), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(clips)
    )
    openvino.save_model(quantized, target / "model.xml")
    _copy_preprocessor(source, target)


def make_ctranslate2(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """CTranslate2's own converter with 8-bit weights."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(source)).convert(str(target), quantization="int8", force=True)
    _copy_preprocessor(source, target)


def make_onnx_asr(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """The export that onnx-asr asks for: lengths beside the waveform, log-probabilities instead of logits.

    See https://istupakov.github.io/onnx-asr/conversion/ for the form of the folder.
    """
    import torch

    from wav2edge_compare.peers.onnx_asr_export import AsrGraph, vocabulary_lines
    from wav2edge_train.checkpoint.loading import load_checkpoint

    checkpoint = load_checkpoint(source)
    inputs = (torch.randn(1, 16_000), torch.tensor([16_000]))
    axes = {
        "input_values": {0: "batch", 1: "time"},
        "input_lengths": {0: "batch"},
        "logprobs": {0: "batch", 1: "frames"},
    }
    torch.onnx.export(
        AsrGraph(checkpoint).eval(),
        inputs,
        str(target / "model.onnx"),
        input_names=["input_values", "input_lengths"],
        output_names=["logprobs"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    (target / "vocab.txt").write_text(vocabulary_lines(checkpoint), encoding="utf-8")
    config = {"model_type": "wav2vec2-ctc", "subsampling_factor": checkpoint.geometry.hop}
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _copy_preprocessor(source: Path, target: Path) -> None:
    shutil.copyfile(source / PREPROCESSOR, target / PREPROCESSOR)


CHECKPOINT = "checkpoint"
"""What no build makes: it is given."""

BUILDS = {
    "ctc": Build(source=CHECKPOINT, make=make_ctc, packages=("transformers", "torch")),
    "onnx": Build(source="ctc", make=make_onnx, packages=("optimum-onnx", "torch", "onnx")),
    "optimum-int8": Build(source="onnx", make=make_optimum_int8, packages=("optimum-onnx", "onnxruntime")),
    "openvino-w8": Build(source="onnx", make=make_openvino_w8, packages=("openvino", "nncf")),
    "openvino-int8": Build(source="onnx", make=make_openvino_int8, packages=("openvino", "nncf"), calibrated=True),
    "ctranslate2": Build(source="ctc", make=make_ctranslate2, packages=("ctranslate2", "transformers")),
    "onnx-asr": Build(source="ctc", make=make_onnx_asr, packages=("torch", "onnx")),
}
"""Build name -> how it is made."""


def _begin(request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    from wav2edge_export.quantization.exporter_logging import quiet_exporters

    with quiet_exporters():
        BUILDS[request["build"]].make(
            Path(request["source"]), Path(request["target"]), [Path(clip) for clip in request["clips"]]
        )
    return {"built": request["build"]}, lambda question: question


if __name__ == "__main__":
    converse(_begin)
