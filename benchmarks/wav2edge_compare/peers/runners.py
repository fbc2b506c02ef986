"""How each system is run: a table from a name to a function that loads a model and returns its runner.

Every library is imported when its system is loaded: a process must hold one system and no part of another.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatSamples = npt.NDArray[np.float32]
Run = Callable[[FloatSamples], dict[str, FloatSamples]]
"""From samples ``[samples] float32`` at 16 kHz to outputs by name without their batch axis, with ``logits``."""

EPSILON = 1e-7
"""Added to the variance, as transformers' ``Wav2Vec2FeatureExtractor`` does."""

LATENCY = "LATENCY"
"""OpenVINO's hint for one clip at a time on all threads."""


def load_wav2edge(*, model: str, threads: int, variant: str) -> Run:
    """A variant of our bundle, its threads spinning between runs as those of every other system do."""
    import wav2edge

    engine = wav2edge.load(model, threads=threads, variant=variant, spinning=True)
    return engine.outputs


def load_torch(*, model: str, threads: int) -> Run:
    """PyTorch eager, fp32."""
    return _original(model, threads).outputs


def load_torch_compile(*, model: str, threads: int) -> Run:
    """PyTorch after ``torch.compile`` with its defaults; the first run includes the compilation."""
    original = _original(model, threads)
    original.checkpoint.model.compile()
    return original.outputs


def _original(model: str, threads: int) -> Any:
    import torch

    from wav2edge_train.checkpoint.original import load_original

    torch.set_num_threads(threads)
    return load_original(model)


def load_pipeline(*, model: str, threads: int) -> Run:
    """The transformers pipeline, from waveform to text; it returns no logits, so a hook takes them from its model."""
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    recognize = pipeline("automatic-speech-recognition", model=model, device="cpu")
    seen: list[Any] = []
    recognize.model.register_forward_hook(lambda module, inputs, output: seen.append(output.logits))

    def run(samples: FloatSamples) -> dict[str, FloatSamples]:
        seen.clear()
        recognize({"raw": samples, "sampling_rate": 16_000})
        return {"logits": seen[-1][0].numpy()}

    return run


def load_optimum(*, model: str, threads: int) -> Run:
    """Optimum's ``ORTModelForCTC`` on the one graph of a folder."""
    from onnxruntime import SessionOptions
    from optimum.onnxruntime import ORTModelForCTC

    options = SessionOptions()
    options.intra_op_num_threads = threads
    (graph,) = Path(model).glob("*.onnx")
    session = ORTModelForCTC.from_pretrained(model, file_name=graph.name, session_options=options)
    prepare = _preparation(model)

    def run(samples: FloatSamples) -> dict[str, FloatSamples]:
        return {"logits": session(input_values=prepare(samples)).logits[0]}

    return run


def load_openvino(*, model: str, threads: int, group_size: int | None = None) -> Run:
    """OpenVINO on the one intermediate representation of a folder.

    ``group_size`` is how many activations share one scale where only the weights are stored as int8; None keeps the
    default of OpenVINO's property ``DYNAMIC_QUANTIZATION_GROUP_SIZE``.
    """
    import openvino

    (graph,) = Path(model).glob("*.xml")
    settings = {"PERFORMANCE_HINT": LATENCY, "INFERENCE_NUM_THREADS": threads}
    if group_size is not None:
        settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = group_size
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    prepare = _preparation(model)

    def run(samples: FloatSamples) -> dict[str, FloatSamples]:
        return {"logits": request.infer({0: prepare(samples)})[0][0].copy()}

    return run


def load_ctranslate2(*, model: str, threads: int) -> Run:
    """CTranslate2's ``Wav2Vec2`` with 8-bit weights and activations."""
    import ctranslate2

    encoder = ctranslate2.models.Wav2Vec2(model, device="cpu", compute_type="int8", intra_threads=threads)
    prepare = _preparation(model)

    def run(samples: FloatSamples) -> dict[str, FloatSamples]:
        features = ctranslate2.StorageView.from_array(np.ascontiguousarray(prepare(samples)[:, None]))
        return {"logits": np.array(encoder.encode(features, to_cpu=True))[0]}

    return run


def load_onnx_asr(*, model: str, threads: int) -> Run:
    """The recognizer of onnx-asr; it returns no scores, so the step before its decoding is called directly."""
    import onnx_asr
    from onnxruntime import SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    recognizer: Any = onnx_asr.load_model(
        "wav2vec2-ctc", model, sess_options=options, providers=["CPUExecutionProvider"]
    ).asr

    def run(samples: FloatSamples) -> dict[str, FloatSamples]:
        log_probabilities, _ = recognizer._encode(samples[None], np.array([len(samples)], np.int64))
        return {"logits": log_probabilities[0]}

    return run


def _preparation(model: str) -> Callable[[FloatSamples], FloatSamples]:
    """The input of a system without a preprocessor of its own: the normalised waveform ``[1, samples]``."""
    settings = json.loads((Path(model) / "preprocessor_config.json").read_text(encoding="utf-8"))
    if not settings["do_normalize"]:
        return lambda samples: samples[None]
    return lambda samples: normalize(samples)[None]


def normalize(samples: FloatSamples) -> FloatSamples:
    """Zero mean and unit variance, as transformers' ``Wav2Vec2FeatureExtractor`` computes it.

    A copy of ``wav2edge.audio.clip``, which must not be imported here: a peer would be charged with the cold
    start and the memory of wav2edge. A test holds the two equal.
    """
    return ((samples - samples.mean()) / np.sqrt(samples.var() + EPSILON)).astype(np.float32)


RUNNERS: dict[str, Callable[..., Run]] = {
    "wav2edge": load_wav2edge,
    "torch": load_torch,
    "torch-compile": load_torch_compile,
    "pipeline": load_pipeline,
    "optimum": load_optimum,
    "openvino": load_openvino,
    "ctranslate2": load_ctranslate2,
    "onnx-asr": load_onnx_asr,
}
"""Runner name -> how its model is loaded; each system names one."""
