"""What CUDA needs of the runtime, as far as it can be shown without a GPU; records of a GPU are in benchmarks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import wav2edge
from wav2edge import DeviceError, UsageError
from wav2edge.bundle.folder import Bundle
from wav2edge.inference.sessions import cuda
from wav2edge.inference.sessions.cuda import CapturedCalls, bucket, load_libraries, provider_options
from wav2edge.inference.sessions.device import INSTALL_GPU, run_options

# Lengths


@pytest.mark.parametrize(
    ("seconds", "padded_s"), [(0.01, 0.25), (0.25, 0.25), (0.2501, 0.5), (4.0, 4.0), (4.1, 4.5), (9.2, 10.0), (31, 32)]
)
def test_clips_are_padded_up_to_a_few_lengths(seconds, padded_s):
    assert bucket(round(seconds * 16_000)) == padded_s * 16_000


def test_there_are_forty_lengths_and_longer_clips_are_not_captured():
    lengths = {bucket(samples) for samples in range(100, 32 * 16_000, 100)}
    assert len(lengths) == 40
    assert bucket(32 * 16_000 + 1) is None


# Captured calls, with their buffers on the CPU


@pytest.fixture
def captured(batched):
    session = batched._session
    return CapturedCalls(
        session._session,
        widths=batched.heads.widths,
        framed=batched.heads.framed,
        geometry=batched.geometry,
        mask_type=session._mask_type,
        device="cpu",
    )


@pytest.fixture
def captured_engine(batched, captured, monkeypatch):
    monkeypatch.setattr(batched._session, "_captured", captured)
    return batched


def test_padding_to_a_bucket_changes_nothing(batched_bundle, captured_engine, clips):
    plain = wav2edge.load(batched_bundle)
    for given in ([clips[0]], clips, clips[::-1], [clips[1]], [np.zeros(33 * 16_000, np.float32)]):
        for found, expected in zip(captured_engine.batch_outputs(given), plain.batch_outputs(given), strict=True):
            for name, values in expected.items():
                np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-4)


def test_a_shape_keeps_its_buffers_and_what_was_in_them_does_not_come_back(captured_engine, captured, clips):
    long, short = np.ones(15_900, np.float32), np.ones(8_100, np.float32)
    first = captured_engine.outputs(short)
    captured_engine.outputs(long)
    assert len(captured._shapes) == 2
    assert bucket(len(long)) != bucket(len(short))
    again = captured_engine.outputs(short[:8_050])
    assert len(captured._shapes) == 2
    np.testing.assert_allclose(captured_engine.outputs(short)["logits"], first["logits"])
    assert len(again["logits"]) <= len(first["logits"])


def test_beyond_the_most_shapes_calls_are_launched_one_by_one(captured_engine, captured, monkeypatch):
    monkeypatch.setattr(cuda, "MOST_GRAPHS", 2)
    outputs = [captured_engine.outputs(np.ones(samples, np.float32)) for samples in (4_000, 8_000, 12_000, 16_000)]
    assert len(captured._shapes) == 2
    assert [len(each["logits"]) for each in outputs] == [
        captured_engine.geometry.frames(n) for n in (4000, 8000, 12000, 16000)
    ]


def test_warming_up_makes_the_shapes_of_calls_to_come(captured_engine, captured):
    captured_engine.warm_up([0.5, 1.0], batch_size=2)
    assert sorted(captured._shapes) == [(2, 8_000), (2, 16_000)]


# Two batches in flight


def test_two_batches_in_flight_keep_the_order(captured_engine, monkeypatch, clips):
    monkeypatch.setattr(type(captured_engine), "device", property(lambda self: "cuda"))
    many = [np.roll(clips[number % len(clips)], number) for number in range(30)]
    expected = [captured_engine(clip, rate_hz=16_000) for clip in many]
    found = list(captured_engine.map(many, rate_hz=16_000, batch_size=3))
    assert [each.text for each in found] == [each.text for each in expected]
    assert [each.duration_s for each in found] == [each.duration_s for each in expected]


# Options and libraries


def test_memory_is_limited_in_bytes_and_graphs_are_captured_on_request():
    options = provider_options(memory_gb=1.5, captured=True)
    assert (options["gpu_mem_limit"], options["enable_cuda_graph"], options["use_tf32"]) == ("1500000000", "1", "0")
    assert "gpu_mem_limit" not in provider_options(memory_gb=None, captured=False)


def test_no_memory_is_refused(bundle):
    with pytest.raises(UsageError, match="0 GB of memory; more than 0 is needed"):
        wav2edge.load(bundle, memory_gb=0)


def test_calls_on_cuda_are_not_captured_by_themselves():
    assert run_options("cuda").get_run_config_entry("gpu_graph_id") == "-1"


def test_missing_libraries_are_named_with_the_line_that_installs_them(capsys):
    def preload_dlls():
        print("Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file")
        print("Failed to load libcurand.so.10: libcurand.so.10: cannot open shared object file")
        print("Please follow https://onnxruntime.ai/docs/install/#cuda-and-cudnn to install CUDA.")

    runtime = SimpleNamespace(preload_dlls=preload_dlls, __version__="1.31.1", cuda_version="13.0")
    with pytest.raises(DeviceError) as caught:
        load_libraries(runtime, install=INSTALL_GPU)
    assert str(caught.value) == (
        "cuda needs libcublasLt.so.13, libcurand.so.10, not found; ONNX Runtime 1.31.1 is built for CUDA 13.0;"
        " run: pip uninstall -y onnxruntime && pip install 'wav2edge[gpu]'"
    )
    assert capsys.readouterr() == ("", "")


def test_libraries_that_are_there_are_not_spoken_of(capsys):
    load_libraries(SimpleNamespace(preload_dlls=lambda: None), install=INSTALL_GPU)
    assert capsys.readouterr().out == ""


# Variants


def variants(edit_manifest, *names):
    graph = {"file": "onnx/model.onnx", "operators": "fused", "batched": False}
    made = {name: {**graph, "precision": name} for name in names}
    return Bundle.open(edit_manifest(variants=made, default_variant=names[0]))


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_on_a_gpu_half_precision_is_chosen_and_then_full(edit_manifest, device):
    assert variants(edit_manifest, "int8", "fp32", "fp16").variant(device=device).precision == "fp16"
    assert variants(edit_manifest, "int8", "fp32").variant(device=device).precision == "fp32"
    assert variants(edit_manifest, "int8", "fp32").variant().precision == "int8"


def test_what_is_quantised_for_cpus_is_refused_on_a_gpu(edit_manifest):
    with pytest.raises(
        DeviceError, match="int8 is quantised for CPUs and has no kernels on cuda; choose the variant fp32"
    ):
        variants(edit_manifest, "int8", "fp32").variant("int8", device="cuda")
    with pytest.raises(DeviceError, match="export with --operators gpu --precision fp16"):
        variants(edit_manifest, "int8").variant(device="cuda")


def test_with_auto_what_is_quantised_for_cpus_runs_on_one(edit_manifest, monkeypatch):
    bundle = variants(edit_manifest, "int8")
    monkeypatch.setattr("wav2edge.inference.sessions.device.AUTO_ORDER", ("cuda",))
    assert wav2edge.load(bundle.folder, device="auto").device == "cpu"
