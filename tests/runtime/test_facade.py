from __future__ import annotations

import inspect
import json

import pytest

import wav2edge
from wav2edge import errors

HEAVY = ("torch", "transformers", "optimum", "onnx", "onnxruntime", "soundfile", "soxr", "wav2edge_export")

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


def test_the_facade_holds_these_names_and_no_others():
    assert wav2edge.__all__ == [
        "AlignedToken",
        "AlignedWord",
        "Alignment",
        "AlignmentError",
        "AsyncStream",
        "AudioError",
        "Beam",
        "BenchmarkError",
        "BundleError",
        "CheckpointError",
        "DataError",
        "DeviceError",
        "Endpointing",
        "Engine",
        "Final",
        "FrameLabel",
        "Gap",
        "Grammar",
        "Greedy",
        "LanguageModel",
        "LiveQueue",
        "MissingDependencyError",
        "ParityError",
        "Partial",
        "Result",
        "Segment",
        "Segmentation",
        "ShardReport",
        "Stream",
        "TrainingError",
        "UsageError",
        "Wav2EdgeError",
        "Word",
        "__version__",
        "load",
        "read_archive",
        "recognise_archive",
    ]


def test_every_name_of_the_facade_is_there():
    assert [name for name in wav2edge.__all__ if not hasattr(wav2edge, name)] == []
    assert set(wav2edge.__all__) <= set(dir(wav2edge))


def test_load_takes_these_arguments():
    assert list(inspect.signature(wav2edge.load).parameters) == [
        "bundle",
        "device",
        "threads",
        "variant",
        "spinning",
        "arena",
        "profile",
        "memory_gb",
        "decoder",
        "language",
        "revision",
    ]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_exported_and_can_be_caught_as_a_builtin(error):
    assert error.__name__ in wav2edge.__all__
    assert issubclass(error, errors.Wav2EdgeError)
    assert "builtins" in {base.__module__ for base in error.__bases__}
    assert error.exit_code in (1, 2, 3)


def loaded_modules(python, code: str) -> list[str]:
    out, _ = python("-c", f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))").communicate()
    return [name for name in HEAVY if name in json.loads(out.splitlines()[-1])]


def test_importing_wav2edge_imports_nothing_heavy(python):
    assert loaded_modules(python, "import wav2edge") == []


def test_recognising_a_clip_imports_no_training_or_export_package(python, bundle, clip):
    code = f"import wav2edge\nwav2edge.load({str(bundle)!r})({str(clip)!r})"
    assert loaded_modules(python, code) == ["onnxruntime", "soundfile"]


def test_the_command_line_imports_no_training_or_export_package(python, bundle, clip):
    code = f"from wav2edge.cli import main\nmain(['run', {str(bundle)!r}, {str(clip)!r}])"
    assert loaded_modules(python, code) == ["onnxruntime", "soundfile"]


def test_run_loads_few_modules_of_this_project(python, bundle, clip):
    code = (
        "import sys\nfrom wav2edge.cli import main\n"
        f"main(['run', {str(bundle)!r}, {str(clip)!r}])\n"
        "ours = {name: each for name, each in sys.modules.items() if name.startswith('wav2edge')}\n"
        "print(*(name for name, each in ours.items() if not hasattr(each, '__path__')))"
    )
    out, _ = python("-c", code).communicate()
    modules = out.decode().splitlines()[-1].split()
    assert "wav2edge.cli.commands.run" in modules
    assert len(modules) <= 31, modules
