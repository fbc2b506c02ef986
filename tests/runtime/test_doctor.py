"""`wav2edge doctor` names every fault that is planted, and nothing in what is sound."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from wav2edge.evaluation.diagnosis import graph_faults, installation
from wav2edge.evaluation.diagnosis.onnx_graph import read_onnx
from wav2edge.evaluation.diagnosis.opening_faults import refusal

MODELS = Path(__file__).parents[2] / "models"
WIDTH = 32
RNG = np.random.default_rng(16)


def weight(name, *shape, kind=np.float32):
    return numpy_helper.from_array((RNG.standard_normal(shape) * 30).astype(kind), name)


def plain_norm(source, to):
    return [
        helper.make_node("LayerNormalization", [source, "scale", "bias"], [to], axis=-1),
    ]


def decomposed_norm(source, to):
    return [
        helper.make_node("ReduceMean", [source], ["mean"], axes=[-1]),
        helper.make_node("Sub", [source, "mean"], ["centred"]),
        helper.make_node("Pow", ["centred", "two"], ["squared"]),
        helper.make_node("ReduceMean", ["squared"], ["variance"], axes=[-1]),
        helper.make_node("Add", ["variance", "epsilon"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["deviation"]),
        helper.make_node("Div", ["centred", "deviation"], ["normed"]),
        helper.make_node("Mul", ["normed", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], [to]),
    ]


def integer_product(source, to):
    return [
        helper.make_node("DynamicQuantizeLinear", [source], ["bytes", "step", "zero"]),
        helper.make_node("MatMulInteger", ["bytes", "int8_weight", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], [to], to=TensorProto.FLOAT),
    ]


def integer_convolution(source, to):
    return [
        helper.make_node("Transpose", [source], ["channels_first"], perm=[0, 2, 1]),
        helper.make_node("DynamicQuantizeLinear", ["channels_first"], ["bytes", "step", "zero"]),
        helper.make_node("ConvInteger", ["bytes", "uint8_kernel", "zero"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["convolved"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["convolved"], [to], perm=[0, 2, 1]),
    ]


def attention(source, to):
    return [
        helper.make_node("Transpose", [source], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", [source, "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", source], [to]),
    ]


def float_product(source, to):
    return [helper.make_node("MatMul", [source, "float_weight"], [to])]


def custom_operator(source, to):
    return [helper.make_node("FastNorm", [source], [to], domain="acme.kernels")]


def both_products(source, to):
    return [*integer_product(source, "half"), *float_product("half", to)]


def graph(layer=plain_norm, *, mask=True, samples: int | str = "samples", opset=17, ir_version=9):
    """A graph as sound as it can be: [batch, samples] and its mask, one layer, logits."""
    shape = ["batch", samples]
    inputs = [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, shape)]
    nodes = [
        helper.make_node("Unsqueeze", ["input_values", "last"], ["column"]),
        helper.make_node("MatMul", ["column", "front"], ["heard"]),
    ]
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.FLOAT, shape))
        nodes += [
            helper.make_node("Unsqueeze", ["attention_mask", "last"], ["mask"]),
            helper.make_node("Mul", ["heard", "mask"], ["features"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["heard"], ["features"]))
    nodes += layer("features", "logits")
    weights = [
        numpy_helper.from_array(np.array([2]), "last"),
        numpy_helper.from_array(np.array(2, np.float32), "two"),
        numpy_helper.from_array(np.array(1e-5, np.float32), "epsilon"),
        weight("front", 1, WIDTH),
        weight("scale", WIDTH),
        weight("bias", WIDTH),
        weight("float_weight", WIDTH, WIDTH),
        weight("int8_weight", WIDTH, WIDTH, kind=np.int8),
        weight("uint8_kernel", WIDTH, WIDTH, 3, kind=np.uint8),
    ]
    read = {name for node in nodes for name in node.input}
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", None, WIDTH])
    body = helper.make_graph(nodes, "planted", inputs, [logits], [each for each in weights if each.name in read])
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("acme.kernels", 1)]
    return helper.make_model(body, opset_imports=domains, ir_version=ir_version)


PLANTED = {
    "no mask": (graph(mask=False), {"missing-mask"}, 1),
    "one length": (graph(samples=16_000), {"fixed-length"}, 1),
    "norms in parts": (graph(decomposed_norm), {"decomposed-layernorm"}, 1),
    "integer convolution": (graph(integer_convolution), {"conv-integer"}, 1),
    "one product left out": (graph(both_products), {"partly-quantised", "float-weights"}, 1),
    "attention in parts": (graph(attention), {"unfused-attention"}, 1),
    "fp32 weights": (graph(float_product), {"float-weights"}, 1),
    "custom operator": (graph(custom_operator), {"custom-domain", "unknown-operator"}, 3),
    "newer opset": (graph(opset=99), {"newer-opset"}, 3),
    "newer IR": (graph(ir_version=99), {"newer-ir"}, 3),
}


@pytest.fixture
def found(cli):
    """The names of the findings, and the exit code; each finding says what, where and what to do."""

    def run(*words):
        outcome = cli("doctor", *map(str, words), "--json")
        findings = json.loads(outcome.out)["findings"]
        for each in findings:
            assert all(each[key] for key in ("where", "meaning", "remedy")), each
        return {each["name"] for each in findings}, outcome.code

    return run


@pytest.fixture(autouse=True)
def with_vnni(monkeypatch):
    """A processor that multiplies int8 exactly."""
    monkeypatch.setattr(graph_faults, "native_target", lambda: ("vnni", "so says the test"))


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named_and_nothing_else(fault, found, tmp_path):
    model, names, code = PLANTED[fault]
    onnx.save(model, tmp_path / "planted.onnx")
    assert found(tmp_path / "planted.onnx") == (names, code)


def test_a_sound_graph_has_no_findings(found, tmp_path):
    onnx.save(graph(), tmp_path / "sound.onnx")
    assert found(tmp_path / "sound.onnx") == (set(), 0)


def test_a_quantised_product_is_no_fault_unless_this_processor_saturates_it(found, tmp_path, monkeypatch):
    onnx.save(graph(integer_product), tmp_path / "int8.onnx")
    assert found(tmp_path / "int8.onnx") == (set(), 0)
    monkeypatch.setattr(graph_faults, "native_target", lambda: ("avx2", "so says the test"))
    monkeypatch.setattr(graph_faults, "int8_features", lambda: ["avx2"])
    assert found(tmp_path / "int8.onnx") == ({"int8-saturation"}, 1)


def test_weights_in_another_file_are_a_note_and_without_that_file_unusable(found, tmp_path):
    path = tmp_path / "external.onnx"
    onnx.save(graph(), path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    assert found(path) == ({"external-data"}, 0)
    (tmp_path / "weights.bin").unlink()
    assert found(path) == ({"external-data"}, 3)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x08\x09"])
def test_a_file_that_is_no_onnx_is_unusable(content, found, tmp_path):
    (tmp_path / "model.onnx").write_bytes(content)
    assert found(tmp_path / "model.onnx") == ({"unreadable"}, 3)


def test_a_truncated_file_is_unusable(found, tmp_path):
    content = graph(float_product).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])
    assert found(tmp_path / "model.onnx") == ({"unreadable"}, 3)


def test_a_file_with_altered_bytes_is_diagnosed_or_unreadable(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_faults, "opening", lambda path: ({}, []))
    content = graph(decomposed_norm).SerializeToString()
    path = tmp_path / "model.onnx"
    for _ in range(300):
        mutant = bytearray(content)
        for place in RNG.integers(len(content), size=3):
            mutant[place] = RNG.integers(256)
        path.write_bytes(mutant)
        _, findings = graph_faults.diagnose_graph(path)
        assert all(each.remedy for each in findings)


ODD_NODES = {
    "no name and no output": [helper.make_node("Foo", ["input_values"], [], domain="acme.kernels")],
    "no input": [
        helper.make_node("Sub", [], ["centred"]),
        helper.make_node("Sqrt", ["input_values"], ["deviation"]),
        helper.make_node("Div", ["centred", "deviation"], ["logits"]),
    ],
}


@pytest.mark.parametrize("fault", ODD_NODES)
def test_nodes_without_a_name_inputs_or_outputs_are_diagnosed(fault, found, tmp_path):
    onnx.save(graph(lambda source, to: ODD_NODES[fault]), tmp_path / "odd.onnx")
    assert "cannot-be-opened" in found(tmp_path / "odd.onnx")[0]


def test_what_nobody_foresaw_in_one_graph_does_not_cost_the_findings_of_the_others(found, tmp_path, monkeypatch):
    onnx.save(graph(), tmp_path / "a.onnx")
    onnx.save(graph(mask=False), tmp_path / "b.onnx")

    def check(anatomy):
        if anatomy.graph.path.name == "a.onnx":
            raise IndexError("out of range")

    monkeypatch.setattr(graph_faults, "CHECKS", (check, *graph_faults.CHECKS))
    assert found(tmp_path) == ({"not-diagnosed", "missing-mask"}, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_named_pipe_in_a_folder_of_graphs_is_not_waited_for(found, tmp_path):
    onnx.save(graph(), tmp_path / "sound.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    assert found(tmp_path) == ({"unreadable"}, 3)


def test_no_name_at_all_is_not_the_current_folder(cli):
    assert cli("doctor", "").complaint == "wav2edge: '': no such file or folder; check the path"


def test_names_in_a_graph_cannot_steer_the_terminal_or_forge_a_finding(cli, tmp_path):
    forged = "\x1b[31m\nunusable  forged  model.onnx"
    nodes = [helper.make_node("Op" + forged, ["features"], ["logits"], name=forged, domain="acme.kernels")]
    onnx.save(graph(lambda source, to: nodes), tmp_path / "model.onnx")
    out = cli("doctor", tmp_path / "model.onnx").out
    assert "\x1b" not in out
    assert not any(line.startswith("unusable  forged") for line in out.splitlines())


def test_sizes_below_zero_are_read_as_such(tmp_path):
    model = graph(float_product, samples="samples")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -5
    (stored,) = (each for each in model.graph.initializer if each.name == "float_weight")
    stored.dims[0] = -3
    onnx.save(model, tmp_path / "model.onnx")
    read = read_onnx(tmp_path / "model.onnx")
    assert read.weights["float_weight"].shape == (-3, WIDTH)
    assert read.inputs[0].shape == ("batch", "?")


def test_what_is_not_there_is_one_line(cli, tmp_path):
    outcome = cli("doctor", tmp_path / "nothing.onnx")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.complaint.endswith("nothing.onnx: no such file or folder; check the path")


def test_the_text_names_each_fault_with_its_remedy(cli, tmp_path):
    onnx.save(graph(float_product, mask=False), tmp_path / "model.onnx")
    outcome = cli("doctor", tmp_path / "model.onnx")
    assert outcome.code == 1
    assert "fault     missing-mask  model.onnx: input input_values [batch, samples]" in outcome.out
    assert outcome.out.count("remedy: ") == 2
    assert outcome.out.endswith("2 fault\n")


def test_the_graph_is_read_as_onnx_reads_it(tmp_path):
    path = MODELS / "words" / "onnx" / "model_quantized.onnx"
    ours, theirs = read_onnx(path), onnx.load(str(path))
    assert [(n.name, n.operator, n.domain, n.inputs, n.outputs) for n in ours.nodes] == [
        (n.name, n.op_type, n.domain, tuple(n.input), tuple(n.output)) for n in theirs.graph.node
    ]
    assert ours.opsets == {each.domain or "ai.onnx": each.version for each in theirs.opset_import}
    for tensor in theirs.graph.initializer:
        mine = ours.weights[tensor.name]
        assert (mine.shape, mine.type) == (tuple(tensor.dims), tensor.data_type)
        assert ours.bytes_of(mine) == tensor.raw_data


@pytest.mark.parametrize("source", ["words", "words-stream", "words/onnx/model_quantized.onnx"])
def test_our_own_bundles_have_no_findings(source, found):
    assert found(MODELS / source) == (set(), 0)


@pytest.fixture
def copied(tmp_path):
    return Path(shutil.copytree(MODELS / "words", tmp_path / "words"))


def test_a_damaged_graph_of_a_bundle_is_unusable(found, copied):
    graph_file = copied / "onnx" / "model_quantized.onnx"
    content = bytearray(graph_file.read_bytes())
    content[len(content) // 2] ^= 1
    graph_file.write_bytes(content)
    assert found(copied) == ({"damaged-bundle"}, 3)


def test_a_file_that_the_manifest_does_not_list_is_a_note(found, copied):
    (copied / "notes.txt").write_text("mine")
    assert found(copied) == ({"unlisted-file"}, 0)


def test_a_folder_that_is_no_bundle_is_unusable(found, tmp_path):
    assert found(tmp_path) == ({"damaged-bundle"}, 3)


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("NOT_IMPLEMENTED : Could not find an implementation for ConvInteger(10) node with name 'c'", "no-kernel"),
        ("something new", "cannot-be-opened"),
    ],
)
def test_what_onnx_runtime_refuses_for_is_a_finding(reason, name):
    assert refusal(Path("model.onnx"), "1.30", reason).name == name


# The installation


def test_the_installation_of_the_tests_is_usable(cli):
    outcome = cli("doctor", "--json")
    facts = json.loads(outcome.out)["facts"]
    assert outcome.code in (0, 1)
    assert "cpu" in facts["extras_installed"]
    assert "CPUExecutionProvider" in facts["providers"]


def test_extras_are_said_to_be_installed_or_to_need_packages(cli, monkeypatch):
    monkeypatch.setattr(installation, "_installed", lambda name: name not in ("pyarrow", "fsspec"))
    facts = cli("doctor", "--json").json["facts"]
    needed = facts["extras_missing"]["archives"]
    assert "pyarrow" in needed
    assert not {*facts["extras_missing"]} & {*facts["extras_installed"]}
    lines = dict(line.split(maxsplit=1) for line in cli("doctor").out.splitlines() if line.startswith("  extras_"))
    assert f"archives needs {', '.join(needed)}" in lines["extras_missing"].split("; ")
    assert "plot" in lines["extras_installed"]


def written(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("--", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_limits_of_a_container_are_read(tmp_path):
    written(tmp_path / "sys/fs/cgroup", **{"cpu--max": "150000 100000\n", "memory--max": "268435456\n"})
    written(tmp_path / "proc", meminfo="MemTotal:  2000 kB\nMemAvailable:  1000 kB\n")
    here = installation.machine(tmp_path)
    assert here == {
        "memory_bytes": 2_048_000,
        "available_bytes": 1_024_000,
        "memory_limit_bytes": 268_435_456,
        "cpu_quota": 1.5,
    }


def test_the_limits_of_older_control_groups_are_read(tmp_path):
    files = {"cpu__cpu--cfs_quota_us": "50000", "cpu__cpu--cfs_period_us": "100000"}
    written(tmp_path / "sys/fs/cgroup", **files, **{"memory__memory--limit_in_bytes": "9223372036854771712"})
    here = installation.machine(tmp_path)
    assert (here["cpu_quota"], here["memory_limit_bytes"]) == (0.5, None)


def test_a_quota_below_the_threads_and_too_little_memory_are_faults(tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "physical_cores", lambda: 8)
    written(tmp_path / "sys/fs/cgroup", **{"cpu--max": "200000 100000\n", "memory--max": "268435456\n"})
    _, findings = installation.diagnose_installation(tmp_path)
    named = {each.name: each for each in findings}
    assert named["threads-over-quota"].remedy.startswith("--threads 2")
    assert named["little-memory"].severity == "fault"


def test_two_onnx_runtimes_are_unusable():
    both = {"onnxruntime", "onnxruntime-gpu"}
    (finding,) = installation._builds(both.__contains__)
    assert (finding.name, finding.severity) == ("two-onnxruntimes", "unusable")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in finding.remedy
    assert installation._builds({"onnxruntime"}.__contains__) == []


def test_missing_cuda_libraries_are_named(tmp_path, monkeypatch):
    runtime = SimpleNamespace(
        __version__="1.30.0",
        cuda_version="13.0",
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        preload_dlls=lambda: print("Failed to load libcudnn.so.9: cannot open shared object file"),
    )
    monkeypatch.setattr(installation, "import_onnxruntime", lambda: runtime)
    _, findings = installation.diagnose_installation(tmp_path)
    (finding,) = (each for each in findings if each.name == "missing-cuda-libraries")
    assert "libcudnn.so.9" in finding.meaning
    assert "pip install 'wav2edge[gpu]'" in finding.remedy


@pytest.mark.parametrize(
    ("features", "names"), [(["avx2", "avx512_vnni"], []), (["avx2"], ["no-vnni"]), (["asimddp"], ["no-avx2"])]
)
def test_a_processor_without_vnni_or_avx2_is_noted(features, names, monkeypatch):
    monkeypatch.setattr(installation.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(installation, "int8_features", lambda: features)
    monkeypatch.setattr(
        installation, "native_target", lambda: ("vnni" if "avx512_vnni" in features else "avx2", "so says the test")
    )
    assert [each.name for each in installation._processor()] == names
