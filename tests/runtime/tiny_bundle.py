"""A real bundle of a few kilobytes, made with onnx alone: the shape of wav2vec2's front end, and two heads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, CtcHead, Heads
from wav2edge.bundle.manifest import FileRecord, Manifest, Variant, sealed

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
VOCABULARY = ("[PAD]", "|", "A", "B", "C", "D", "E", "[UNK]")
LABELS = ("0", "1", "2", "3")
HIDDEN = 8
GOLDEN_SAMPLES = 8_000

HEADS = Heads(
    ctc=CtcHead(output="logits", vocabulary=VOCABULARY, blank_id=0, silent_ids=frozenset({7}), lower_case=True),
    classification=ClassificationHead(output="class_logits", labels=LABELS),
)
GEOMETRY = ConvGeometry(kernels=KERNELS, strides=STRIDES)


def noise(samples: int, *, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def weights(*, step: float = 0.0) -> dict[str, np.ndarray]:
    """Seeded random weights; rounded to multiples of ``step`` where one is given."""
    rng = np.random.default_rng(20)
    found, channels = {}, 1
    for layer, kernel in enumerate(KERNELS):
        scale = 1.6 / np.sqrt(channels * kernel)
        found[f"conv{layer}"] = scale * rng.standard_normal((HIDDEN, channels, kernel))
        channels = HIDDEN
    found["letters"] = 3 * rng.standard_normal((HIDDEN, len(VOCABULARY)))
    found["classes"] = 8 * rng.standard_normal((HIDDEN, len(LABELS)))
    return {
        name: (np.round(value / step) * step if step else value).astype(np.float32) for name, value in found.items()
    }


def graph(*, step: float = 0.0, vocabulary: int = len(VOCABULARY), input_name: str = "input_values") -> onnx.ModelProto:
    """Normalise, seven convolutions, a score a frame and token, a score a class over the mean of the frames."""
    tensors = weights(step=step)
    tensors["letters"] = tensors["letters"][:, :vocabulary]
    tensors |= {"epsilon": np.float32(1e-7), "channel": np.int64([1])}
    nodes = [
        helper.make_node("ReduceMean", [input_name], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", [input_name, "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["variance"], axes=[1], keepdims=1),
        helper.make_node("Add", ["variance", "epsilon"], ["guarded"]),
        helper.make_node("Sqrt", ["guarded"], ["deviation"]),
        helper.make_node("Div", ["centred", "deviation"], ["normal"]),
        helper.make_node("Unsqueeze", ["normal", "channel"], ["wave"]),
    ]
    flow = "wave"
    for layer, stride in enumerate(STRIDES):
        nodes += [
            helper.make_node("Conv", [flow, f"conv{layer}"], [f"sum{layer}"], strides=[stride]),
            helper.make_node("Tanh", [f"sum{layer}"], [f"layer{layer}"]),
        ]
        flow = f"layer{layer}"
    nodes += [
        helper.make_node("Transpose", [flow], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "letters"], ["logits"]),
        helper.make_node("ReduceMean", ["frames"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["pooled", "classes"], ["class_logits"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["batch", "samples"])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "frames", vocabulary]),
                helper.make_tensor_value_info("class_logits", TensorProto.FLOAT, ["batch", len(LABELS)]),
            ],
            [numpy_helper.from_array(value, name) for name, value in tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model


def batched_graph() -> onnx.ModelProto:
    """The same for padded batches: the mask weighs the samples, and frames that see padding do not reach the mean."""
    model = graph()
    nodes = {node.output[0]: node for node in model.graph.node}
    swapped = {
        "mean": masked_mean("input_values", "weight", "mean"),
        "centred": [
            helper.make_node("Sub", ["input_values", "mean"], ["shifted"]),
            helper.make_node("Mul", ["shifted", "weight"], ["centred"]),
        ],
        "variance": masked_mean("square", "weight", "variance"),
        "pooled": [
            # A frame counts if all the samples it sees do: their mean weight is then 1.
            helper.make_node("Unsqueeze", ["weight", "channel"], ["lane"]),
            helper.make_node(
                "AveragePool",
                ["lane"],
                ["share"],
                kernel_shape=[GEOMETRY.receptive_field],
                strides=[GEOMETRY.hop],
            ),
            helper.make_node("Floor", ["share"], ["whole"]),
            helper.make_node("Transpose", ["whole"], ["own"], perm=[0, 2, 1]),
            *masked_mean("frames", "own", "mean_frame"),
            helper.make_node("Squeeze", ["mean_frame", "channel"], ["pooled"]),
        ],
    }
    weighing = helper.make_node("Cast", ["attention_mask"], ["weight"], to=TensorProto.FLOAT)
    found = [weighing, *(each for name, node in nodes.items() for each in swapped.get(name, [node]))]
    del model.graph.node[:]
    model.graph.node.extend(found)
    model.graph.input.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "samples"]))
    onnx.checker.check_model(model)
    return model


def graph_for_one_frame() -> onnx.ModelProto:
    """The same with an addition that fails inside ONNX Runtime, but for clips of one frame or three."""
    model = graph()
    (matmul,) = (node for node in model.graph.node if node.output[0] == "logits")
    matmul.output[0] = "scores"
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 3, 1), np.float32), "three"))
    model.graph.node.append(helper.make_node("Add", ["scores", "three"], ["logits"]))
    onnx.checker.check_model(model)
    return model


def masked_mean(values: str, weight: str, output: str) -> list[onnx.NodeProto]:
    """The weighted mean along the second axis, which stays."""
    return [
        helper.make_node("Mul", [values, weight], [f"{output}_weighed"]),
        helper.make_node("ReduceSum", [f"{output}_weighed", "channel"], [f"{output}_sum"], keepdims=1),
        helper.make_node("ReduceSum", [weight, "channel"], [f"{output}_weight"], keepdims=1),
        helper.make_node("Div", [f"{output}_sum", f"{output}_weight"], [output]),
    ]


def record(path: Path) -> FileRecord:
    content = path.read_bytes()
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def write_bundle(folder: Path, models: dict[str, onnx.ModelProto] | None = None, *, batched: bool = False) -> Path:
    """Graphs, certificate, golden file and manifest, in the format that `wav2edge export` writes."""
    models = models or {"fp32": graph(), "int8": graph(step=1 / 64)}
    variants = {
        name: Variant(
            file=f"onnx/model{'' if name == 'fp32' else '_quantized'}.onnx",
            precision=name,
            operators="onnx",
            batched=batched,
        )
        for name in models
    }
    (folder / "onnx").mkdir(parents=True)
    for name, model in models.items():
        (folder / variants[name].file).write_bytes(model.SerializeToString())
    (folder / "config.json").write_text('{"model_type": "wav2vec2"}\n')
    (folder / "certificate.json").write_text(json.dumps(certificate(models)))
    (folder / "golden.json").write_text(json.dumps(golden(models)))
    manifest = Manifest(
        name="tiny",
        model_type="wav2vec2",
        heads=HEADS,
        geometry=GEOMETRY,
        variants=variants,
        default_variant="fp32",
        files={path.relative_to(folder).as_posix(): record(path) for path in folder.rglob("*") if path.is_file()},
        parameters=sum(value.size for value in weights().values()),
        macs_per_s=10_000_000,
        made_with={"onnx": onnx.__version__},
    )
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def certificate(models: dict[str, onnx.ModelProto]) -> dict[str, object]:
    verdict = {"passed": True, "violations": [], "summary": "logits within 1e-06 (0.00% of the largest)"}
    return {"variants": {name: {"precision": name, **verdict} for name in models}}


def golden(models: dict[str, onnx.ModelProto]) -> dict[str, object]:
    """What ONNX Runtime by itself, without the engine under test, gives for half a second of noise."""
    pcm = np.round(noise(GOLDEN_SAMPLES, seed=7) * 32767).astype(np.int16)
    variants = {}
    for name, model in models.items():
        session = open_session(model)
        samples = (pcm / np.float32(32768))[None].astype(np.float32)
        feeds = {"attention_mask": np.ones(samples.shape, np.int64)}
        found = session.run(None, {each.name: feeds.get(each.name, samples) for each in session.get_inputs()})
        outputs = {
            output.name: np.round(value[0].astype(float), 6).tolist()
            for output, value in zip(session.get_outputs(), found, strict=True)
        }
        variants[name] = {"tolerance": 1e-3, "text": None, "label": None, "outputs": outputs}
    return {"rate_hz": 16_000, "pcm_int16": pcm.tolist(), "variants": variants}


def open_session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime by itself, on one thread: a graph this small waits for others longer than it computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs_of(session: onnxruntime.InferenceSession, samples: np.ndarray) -> dict[str, np.ndarray]:
    """What ONNX Runtime by itself gives for one clip."""
    found = session.run(None, {"input_values": samples[None]})
    return {output.name: value[0] for output, value in zip(session.get_outputs(), found, strict=True)}


def record_original(
    folder: Path, signals: dict[str, np.ndarray], clips: dict[Path, tuple[str, str]], budget: dict[str, float]
) -> Path:
    """Record in a bundle what its original, here the fp32 graph, gave for signals and clips."""
    session = open_session(graph())
    outputs = {name: outputs_of(session, samples) for name, samples in signals.items()}
    arrays = {f"{name}/{output}": value for name, found in outputs.items() for output, value in found.items()}
    np.savez_compressed(folder / "original.npz", **arrays)
    document = {
        "signals": {
            name: {"sha256": hashlib.sha256(samples.tobytes()).hexdigest()} for name, samples in signals.items()
        },
        "clips": {record(path).sha256: {"text": text, "label": label} for path, (text, label) in clips.items()},
    }
    (folder / "original.json").write_text(json.dumps(document))
    path = folder / "certificate.json"
    certificates = json.loads(path.read_text())
    for verdict in certificates["variants"].values():
        differences = {
            name: {"absolute_error": 0.5, "relative_error": 0.25, "frame_agreement": 1.0} for name in signals
        }
        verdict |= {"budget": budget, "signals": differences, "measured": {"relative_error": 0.25, "wer_increase": 0.0}}
    path.write_text(json.dumps(certificates))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("original.npz", "original.json", "certificate.json"):
        manifest["files"][name] = vars(record(folder / name))
    (folder / "manifest.json").write_text(sealed(manifest))
    return folder
