"""How each peer's model is made from the checkpoint: a table of builds, each from the result of an earlier one.

Run as a module, it makes one build in a process of its own, so that a library's memory or crash stays there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wav2edge.inference.sessions.cpu import int8_features
from wav2edge_compare.measuring.channel import serve
from wav2edge_compare.peers.runners import normalize

if TYPE_CHECKING:  # PyTorch stays out of the process that only reads the table of builds
    from torch import nn

    from wav2edge_train.checkpoint.loading import Checkpoint

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
    distributions whose versions decide whether an earlier result is still valid.
    """

    source: str
    make: Callable[[Path, Path, Sequence[Path]], None]
    packages: tuple[str, ...]
    calibrated: bool = False


def make_ctc(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """The CTC part of a checkpoint, with the same weights, as the transformers class that every peer reads."""
    from wav2edge_train.checkpoint.families.family_table import family_of
    from wav2edge_train.checkpoint.loading import load_checkpoint

    model = load_checkpoint(source).model
    kind: Any = family_of(model.config).find("ForCTC")
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

    ``Conv`` is taken off its list of operators: ONNX Runtime has no CPU kernel for the quantised form.
    """
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer
    from optimum.onnxruntime.configuration import ORT_DEFAULT_OPS_DYNAMIC_QUANTIZATION

    operators = [name for name in ORT_DEFAULT_OPS_DYNAMIC_QUANTIZATION if name != "Conv"]
    recipe = getattr(AutoQuantizationConfig, optimum_recipe())
    quantizer = ORTQuantizer.from_pretrained(source, file_name="model.onnx")
    quantizer.quantize(recipe(is_static=False, operators_to_quantize=operators), target)
    _copy_preprocessor(source, target)


def optimum_recipe() -> str:
    """The name of Optimum's recipe for this processor."""
    features = int8_features()
    return next((recipe for feature, recipe in OPTIMUM_RECIPES.items() if feature in features), "avx2")


def make_openvino_w8(source: Path, target: Path, clips: Sequence[Path]) -> None:
    """NNCF's weight compression to symmetric int8; OpenVINO may quantise activations when it runs."""
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
    """The export that onnx-asr expects: waveforms and their lengths in, log-probabilities out.

    The folder is laid out as in https://istupakov.github.io/onnx-asr/conversion/.
    """
    import torch

    from wav2edge_train.checkpoint.loading import load_checkpoint

    checkpoint = load_checkpoint(source)
    inputs = (torch.randn(1, 16_000), torch.tensor([16_000]))
    axes = {
        "input_values": {0: "batch", 1: "time"},
        "input_lengths": {0: "batch"},
        "logprobs": {0: "batch", 1: "frames"},
    }
    torch.onnx.export(
        _asr_graph(checkpoint),
        inputs,
        str(target / "model.onnx"),
        input_names=["input_values", "input_lengths"],
        output_names=["logprobs"],
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    (target / "vocab.txt").write_text(_vocabulary_lines(checkpoint), encoding="utf-8")
    config = {"model_type": "wav2vec2-ctc", "subsampling_factor": checkpoint.geometry.hop}
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _asr_graph(checkpoint: Checkpoint) -> nn.Module:
    """The CTC head behind onnx-asr's inputs, with the waveform's normalisation inside the graph."""
    import torch
    from torch import nn

    from wav2edge_export.rewrite.inputs.waveform_normalization import ZeroMeanUnitVariance

    class AsrGraph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = checkpoint.model
            self.normalize = ZeroMeanUnitVariance() if checkpoint.normalize else None

        def forward(self, input_values: torch.Tensor, input_lengths: torch.Tensor) -> torch.Tensor:
            """Log-probabilities ``[batch, frames, vocabulary]`` of zero-padded waveforms ``[batch, samples]``."""
            mask = torch.arange(input_values.shape[1]) < input_lengths[:, None]
            waveform = input_values * mask if self.normalize is None else self.normalize(input_values, mask)
            logits: torch.Tensor = self.model(waveform).logits
            return logits.log_softmax(dim=-1)

    return AsrGraph().eval()


def _vocabulary_lines(checkpoint: Checkpoint) -> str:
    """One token per line with its id; blank and word delimiter under the names that onnx-asr reads."""
    head = checkpoint.heads.ctc
    assert head is not None
    renamed = {head.vocabulary[head.blank_id]: "<blk>", head.word_delimiter: "▁"}
    return "".join(f"{renamed.get(token, token)} {i}\n" for i, token in enumerate(head.vocabulary))


def _copy_preprocessor(source: Path, target: Path) -> None:
    shutil.copyfile(source / PREPROCESSOR, target / PREPROCESSOR)


CHECKPOINT = "checkpoint"
"""The source of every build, made by none."""

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


def _prepare(request: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    from wav2edge_train.checkpoint.library_logging import quiet_exporters

    with quiet_exporters():
        BUILDS[request["build"]].make(
            Path(request["source"]), Path(request["target"]), [Path(clip) for clip in request["clips"]]
        )
    return {"built": request["build"]}, lambda message: message


if __name__ == "__main__":
    serve(_prepare)
