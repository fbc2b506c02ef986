from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

import wav2edge
from wav2edge import BundleError, DeviceError, MissingDependencyError, UsageError
from wav2edge.inference.sessions.device import (
    AUTO_ORDER,
    INSTALL_HINTS,
    PROVIDERS,
    import_onnxruntime,
    open_session,
    physical_cores,
)


@pytest.fixture
def graph(bundle):
    return bundle / "onnx/model.onnx"


@pytest.fixture
def only_cpu(monkeypatch):
    """The CPU build of ONNX Runtime, whichever is installed."""
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


@pytest.fixture
def pretend_installed(tmp_path, monkeypatch):
    """Let a distribution look installed, or a module be found, without installing anything."""
    monkeypatch.syspath_prepend(tmp_path)

    def pretend(name: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")

    return pretend


def test_a_session_is_on_the_device_that_was_requested(graph):
    session, device = open_session(graph, device="cpu", threads=1)
    assert (session.get_providers()[0], device) == ("CPUExecutionProvider", "cpu")


def test_auto_takes_the_first_device_that_works(graph, only_cpu):
    _, device = open_session(graph, device="auto", threads=1)
    assert device == "cpu"
    assert AUTO_ORDER[-1] == "cpu"


def test_an_unknown_device_is_refused_with_those_there_are(graph):
    with pytest.raises(UsageError, match=r"unknown device 'gpu'; choose from cpu, cuda, .*, auto"):
        open_session(graph, device="gpu")


@pytest.mark.parametrize("device", sorted(set(PROVIDERS) - {"cpu"}))
def test_a_device_that_is_not_in_this_build_is_refused_with_what_to_install(graph, only_cpu, device):
    with pytest.raises(DeviceError) as caught:
        open_session(graph, device=device)
    message = str(caught.value)
    assert message.startswith(f"{device} is not in the installed ONNX Runtime ")
    assert INSTALL_HINTS.get(device, "install a build that has it") in message
    assert message.endswith("or use --device cpu")


def test_a_provider_that_onnx_runtime_swaps_for_another_is_an_error(graph, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    fallen_back = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *words, **options: fallen_back)
    with pytest.raises(DeviceError, match="cuda was requested and ONNX Runtime took CPUExecutionProvider"):
        open_session(graph, device="cuda", threads=1)


@pytest.mark.parametrize("threads", [1.5, "2"])
def test_threads_are_a_whole_number(graph, threads):
    with pytest.raises(UsageError, match=f"{threads!r} threads; give a whole number"):
        open_session(graph, threads=threads)


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(graph, threads):
    with pytest.raises(UsageError, match=f"{threads} threads; at least 1 is needed"):
        open_session(graph, threads=threads)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x08\x12\x04tiny"])
def test_a_graph_that_cannot_be_parsed_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        open_session(path, threads=1)
    assert str(caught.value).startswith(f"{path}: ONNX Runtime ")
    assert "\n" not in str(caught.value)


def test_a_missing_onnx_runtime_is_reported_with_the_line_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"not installed; run: pip install 'wav2edge\[cpu\]'"):
        import_onnxruntime()


def test_an_onnx_runtime_that_cannot_be_imported_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libfoo.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with pytest.raises(MissingDependencyError, match=r"installed but cannot be imported \(libfoo.so.1: cannot open"):
        import_onnxruntime()


def test_two_builds_of_onnx_runtime_at_once_are_refused(pretend_installed, bundle):
    pretend_installed("onnxruntime")
    pretend_installed("onnxruntime-gpu")
    with pytest.raises(MissingDependencyError, match="both installed and overwrite each other; run: pip uninstall -y"):
        wav2edge.load(bundle)


def test_hints_and_the_order_of_auto_are_about_devices_there_are():
    assert set(INSTALL_HINTS) <= set(PROVIDERS)
    assert set(AUTO_ORDER) <= set(PROVIDERS)


def test_there_is_at_least_one_core_and_never_more_than_the_system_has():
    assert 1 <= physical_cores() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity on this system")
def test_a_process_bound_to_one_processor_has_one_core():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert physical_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
