from __future__ import annotations

import inspect
import json

import pytest

import wav2edge
from wav2edge import errors

HEAVY = ("torch", "transformers", "optimum", "onnx", "onnxruntime", "soundfile", "soxr", "wav2edge_export")

BUILTINS = {
    errors.UsageError: (ValueError, 2),
    errors.AudioError: (ValueError, 1),
    errors.DataError: (ValueError, 1),
    errors.ParityError: (ArithmeticError, 1),
    errors.TrainingError: (RuntimeError, 1),
    errors.BenchmarkError: (RuntimeError, 1),
    errors.CheckpointError: (ValueError, 3),
    errors.BundleError: (ValueError, 3),
    errors.DeviceError: (RuntimeError, 3),
    errors.MissingDependencyError: (ImportError, 3),
}


def test_the_facade_holds_these_names_and_no_others():
    assert wav2edge.__all__ == [
        "AudioError",
        "BenchmarkError",
        "BundleError",
        "CheckpointError",
        "DataError",
        "DeviceError",
        "Engine",
        "MissingDependencyError",
        "ParityError",
        "Result",
        "TrainingError",
        "UsageError",
        "Wav2EdgeError",
        "Word",
        "__version__",
        "load",
    ]


def test_every_name_of_the_facade_is_there():
    assert [name for name in wav2edge.__all__ if not hasattr(wav2edge, name)] == []


def test_load_takes_these_arguments():
    assert list(inspect.signature(wav2edge.load).parameters) == ["bundle", "device", "threads", "variant", "spinning"]


@pytest.mark.parametrize("error", BUILTINS, ids=lambda error: error.__name__)
def test_every_error_is_ours_and_a_builtin_and_knows_its_exit_code(error):
    builtin, exit_code = BUILTINS[error]
    assert issubclass(error, errors.Wav2EdgeError)
    assert issubclass(error, builtin)
    assert error.exit_code == exit_code


def test_the_table_of_errors_is_whole():
    ours = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.Wav2EdgeError]
    assert set(ours) == set(BUILTINS)


def loaded_modules(python, code: str) -> list[str]:
    out, _ = python("-c", f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))").communicate()
    return [name for name in HEAVY if name in json.loads(out.splitlines()[-1])]


def test_importing_wav2edge_imports_nothing_heavy(python):
    assert loaded_modules(python, "import wav2edge") == []


def test_answering_a_clip_imports_no_training_or_export_package(python, bundle, clip):
    code = f"import wav2edge\nwav2edge.load({str(bundle)!r})({str(clip)!r})"
    assert loaded_modules(python, code) == ["onnxruntime", "soundfile"]


def test_the_command_line_imports_no_training_or_export_package(python, bundle, clip):
    code = f"from wav2edge.cli import main\nmain(['run', {str(bundle)!r}, {str(clip)!r}])"
    assert loaded_modules(python, code) == ["onnxruntime", "soundfile"]
