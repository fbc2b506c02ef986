"""Unusable bundles and devices, and wrong usage: one line and an exit code each."""

from __future__ import annotations

import json
import sys

import pytest

from tests.runtime import tiny_bundle
from wav2edge.cli.option_names import with_option_names
from wav2edge.cli.verbs import VERBS
from wav2edge.errors import MissingDependencyError

READING_VERBS = ("run", "verify")

OWN_VERBS = [name for name, verb in VERBS.items() if verb.extra is None]


@pytest.fixture
def flip(own_bundle):
    def flip_middle(name: str = "onnx/model.onnx"):
        path = own_bundle / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return own_bundle

    return flip_middle


@pytest.fixture
def refused(cli, clip):
    """The one line that a bundle is refused with, by `run` or by another verb."""

    def refusal(folder: object, *options: str, verb: str = "run", code: int = 3) -> str:
        words = [verb, folder, clip] if verb == "run" else [verb, folder]
        outcome = cli(*words, *options)
        assert outcome.code == code, outcome.err
        assert verb == "verify" or outcome.out == ""
        return outcome.complaint

    return refusal


# Bundles


def test_run_refuses_a_bundle_with_a_flipped_bit(refused, flip):
    folder = flip()
    assert refused(folder) == (
        f"wav2edge: {folder / 'onnx/model.onnx'}: damaged, its SHA-256 is not the manifest's; copy or export it again"
    )


def test_verify_refuses_a_bundle_with_a_flipped_bit(cli, flip):
    folder = flip("config.json")
    outcome = cli("verify", folder)
    assert outcome.code == 3
    assert outcome.complaint == f"wav2edge: {folder}: 1 of 6 checks failed: config.json"
    *checks, digest = outcome.out.splitlines()
    assert [line for line in checks if not line.startswith("ok  ")] == [
        line for line in checks if line.startswith("FAIL  config.json")
    ]
    assert digest.startswith("manifest.json has the SHA-256 ")


def test_verify_writes_its_checks_as_json(cli, bundle, flip):
    outcome = cli("verify", bundle, "--json")
    assert outcome.code == 0
    assert all(check["passed"] for check in outcome.json["checks"])
    assert len(outcome.json["checks"]) == 10
    damaged = cli("verify", flip(), "--json")
    assert damaged.code == 3
    assert [check["name"] for check in damaged.json["checks"] if not check["passed"]] == ["onnx/model.onnx"]


def test_a_missing_graph_is_refused(refused, own_bundle):
    (own_bundle / "onnx/model.onnx").unlink()
    assert "model.onnx: missing from the bundle; copy or export it again" in refused(own_bundle)
    assert "1 of 6 checks failed: onnx/model.onnx" in refused(own_bundle, verb="verify")


@pytest.mark.parametrize("verb", [name for name in OWN_VERBS if name != "doctor"])  # which says so in its findings
def test_a_folder_without_a_manifest_is_refused_by_every_verb(cli, clip, tmp_path, verb):
    (tmp_path / "hollow").mkdir()
    (tmp_path / "metadata.csv").write_text("file_name,label\ngood.wav,1\n")
    further = {"run": [clip], "align": [clip, "a"], "evaluate": [tmp_path]}.get(verb, [])
    outcome = cli(verb, tmp_path / "hollow", *further)
    assert (outcome.code, outcome.out) == (3, "")
    assert "not a bundle, it has no manifest.json; give the folder" in outcome.complaint


def test_a_checkpoint_is_refused_with_the_line_that_exports_it_elsewhere(refused, tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "wav2vec2"}')
    (folder / "model.safetensors").touch()
    assert refused(folder) == (
        f"wav2edge: {folder}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {folder} --output BUNDLE"
    )


@pytest.mark.parametrize("verb", READING_VERBS)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a wav2edge-bundle; is this the right folder?"),
        ('{"format": "wav2edge-bundle", "format_version": 3}', "upgrade: pip install -U wav2edge"),
        ('{"format": "wav2edge-bundle", "format_version": 2}', "damaged or altered"),
        ('{"format": "wav2edge-bundle", "format_version": 1}', "is missing; export the bundle again"),
    ],
)
def test_a_broken_manifest_is_refused(refused, own_bundle, verb, content, reason):
    (own_bundle / "manifest.json").write_text(content)
    line = refused(own_bundle, verb=verb)
    assert line.startswith(f"wav2edge: {own_bundle / 'manifest.json'}: ")
    assert reason in line


def test_a_manifest_that_names_a_file_outside_is_refused(refused, edit_manifest, bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    record = manifest["files"]["onnx/model.onnx"]
    folder = edit_manifest(files={**manifest["files"], "../tiny/onnx/model.onnx": record})
    assert "the file name '../tiny/onnx/model.onnx' points outside the bundle" in refused(folder)


def test_a_graph_of_another_width_than_the_manifest_says_is_refused(refused, tmp_path):
    folder = tiny_bundle.write_bundle(tmp_path / "narrow", {"fp32": tiny_bundle.graph(vocabulary=5)})
    assert "its output 'logits' is 5 wide where the manifest says 8; export the bundle again" in refused(folder)


def test_an_unknown_variant_is_refused_with_those_that_are_there(refused, bundle):
    assert refused(bundle, "--variant", "fp16") == f"wav2edge: {bundle}: no variant 'fp16'; it has: fp32, int8"


# Devices


def test_a_device_that_is_not_in_this_build_is_refused_with_the_line_to_install_it(refused, bundle, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    line = refused(bundle, "--device", "cuda")
    assert line.startswith("wav2edge: cuda is not in the installed ONNX Runtime")
    assert "run: pip uninstall -y onnxruntime && pip install 'wav2edge[gpu]', or use --device cpu" in line


def test_a_missing_onnx_runtime_is_refused_with_the_line_to_install_it(refused, bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "run: pip install 'wav2edge[cpu]'" in refused(bundle)


def test_two_builds_of_onnx_runtime_are_refused_with_the_lines_to_mend_it(refused, bundle, monkeypatch, tmp_path):
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / "both" / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "both")
    assert "run: pip uninstall -y onnxruntime onnxruntime-gpu && pip install" in refused(bundle)


# Usage


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["run"], "BUNDLE, AUDIO"),
        (["run", "bundle"], "AUDIO"),
        (["run", "bundle", "clip.wav", "--format", "xml"], "no such format; known are text, json"),
        (["run", "bundle", "clip.wav", "--device", "gpu"], "invalid choice: 'gpu'"),
        (["run", "bundle", "clip.wav", "--threads", "two"], "invalid int value: 'two'"),
        (["run", "bundle", "clip.wav", "--loud"], "unrecognized arguments: --loud"),
    ],
)
def test_wrong_usage_is_exit_code_2(cli, words, reason):
    outcome = cli(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.complaints[-1]


def test_no_thread_at_all_is_wrong_usage(refused, bundle):
    assert refused(bundle, "--threads", "0", code=2) == "wav2edge: 0 threads; at least 1 is needed"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "BUNDLE", "CLIP", "--threads", "99999999999"], "99999999999 threads; at most 4096 can be had"),
        (["run", "BUNDLE", "CLIP", "--device", "cuda", "--gpu-memory", "1e308"], "1e+308 GB of memory; more than"),
        (["run", "BUNDLE", "CLIP", "--beam", "99999999999"], "--beam is 99999999999; it must be at most 10000"),
        (["run", "BUNDLE", "CLIP", "--word-bonus", "1e308"], "--word-bonus is 1e+308; give a number"),
        (["tune", "BUNDLE", "--seconds", "1e12"], "clips of 1e+12 s; give at most 600"),
    ],
    ids=lambda value: value[-2] if isinstance(value, list) else "",
)
def test_a_number_beyond_all_use_is_wrong_usage(cli, bundle, clip, words, reason):
    outcome = cli(*({"BUNDLE": bundle, "CLIP": clip}.get(word, word) for word in words))
    assert outcome.code == 2
    assert reason in outcome.complaint


@pytest.mark.parametrize(
    ("message", "words", "told"),
    [
        ("learning_rate is 0.0; it must be above 0", ["--learning-rate", "0"], "--learning-rate is 0.0; it must be"),
        ("the weight of 'lm_weight' is nan; give", ["--lm-weight=nan"], "--lm-weight is nan; give"),
        ("width is 0; it must be", ["--bea", "0"], "--beam is 0; it must be"),
        ("width is 0; it must be", ["--decoder", "d.json"], "width is 0; it must be"),
        ("the weight of 'fu dan' is nan; give", ["--hotword", "fu dan=nan"], "the weight of 'fu dan' is nan; give"),
    ],
)
def test_an_error_names_the_option_that_was_given_and_not_the_argument_of_python(message, words, told):
    assert with_option_names(message, words).startswith(told)


@pytest.mark.parametrize("verb", OWN_VERBS)
def test_every_verb_explains_itself_with_an_example_and_the_exit_codes(cli, verb):
    outcome = cli(verb, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert f"  wav2edge {verb} " in outcome.out
    assert "130  interrupted" in outcome.out


def test_the_version_is_that_of_the_package(cli):
    import wav2edge

    assert cli("--version").out == f"wav2edge {wav2edge.__version__}\n"


@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_the_traceback_before_the_line(cli, tmp_path, place):
    words = ["run", str(tmp_path), "clip.wav"]
    words.insert(place, "--debug")
    outcome = cli(*words)
    assert outcome.code == 3
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith(f"wav2edge: {tmp_path}: not a bundle")


def test_an_unexpected_error_is_one_line_that_asks_for_a_report(cli, bundle, clip, monkeypatch):
    def fail(*words: object, **options: object) -> None:
        raise ZeroDivisionError("first\nsecond")

    monkeypatch.setattr("wav2edge.cli.commands.run.expand_inputs", fail)
    outcome = cli("run", bundle, clip)
    assert outcome.code == 1
    assert outcome.complaint == (
        "wav2edge: unexpected ZeroDivisionError: first second; run again with --debug and report it"
    )


def test_a_full_disk_is_one_line(cli, bundle, monkeypatch):
    def fail(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wav2edge.cli.commands.inspect._lines", fail)
    outcome = cli("inspect", bundle)
    assert (outcome.code, outcome.complaint) == (1, "wav2edge: input or output: No space left on device")


def test_an_interrupted_import_is_an_interrupt_whatever_error_it_ended_as(cli, bundle, clip, monkeypatch):
    def cut(*words: object, **options: object) -> None:
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError:
            raise MissingDependencyError("cannot be imported") from None

    monkeypatch.setattr("wav2edge.cli.commands.run.expand_inputs", cut)
    outcome = cli("run", bundle, clip)
    assert (outcome.code, outcome.complaint) == (130, "wav2edge: interrupted")


def test_json_that_is_interrupted_is_a_list_of_what_there_was(cli, bundle, clip, engine, monkeypatch):
    def interrupted(*words: object, **options: object):
        yield engine(clip)
        raise KeyboardInterrupt

    monkeypatch.setattr("wav2edge.inference.engine.Engine.map", interrupted)
    outcome = cli("run", bundle, clip, clip, "--format", "json")
    assert (outcome.code, outcome.complaint) == (130, "wav2edge: interrupted")
    assert outcome.json == [{"path": str(clip), **engine(clip).to_dict()}]


def test_json_that_is_interrupted_before_the_first_result_is_an_empty_list(cli, bundle, clip, monkeypatch):
    def interrupted(*words: object, **options: object):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("wav2edge.inference.engine.Engine.map", interrupted)
    assert cli("run", bundle, clip, clip, "--format", "json").json == []


def test_an_interrupt_is_exit_code_130(cli, bundle, clip, monkeypatch):
    def interrupt(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wav2edge.cli.commands.run.expand_inputs", interrupt)
    outcome = cli("run", bundle, clip)
    assert (outcome.code, outcome.complaint) == (130, "wav2edge: interrupted")
