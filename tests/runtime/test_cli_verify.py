"""`wav2edge verify`, its `--repeat` and `--data`: the certificate repeated on this device, without PyTorch."""

from __future__ import annotations

import hashlib
import json
import shutil

import jiwer
import numpy as np
import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.bundle.manifest import sealed
from wav2edge.evaluation.parity.signals import synthetic_signals, voiced

BUDGET = {"relative_error": 0.25, "wer_increase": 0.005}
CLIPS = 6


@pytest.fixture
def data(save, tmp_path):
    """Six clips of a voice, all with the same transcript."""
    rows = ["file_name,transcription,label"]
    for number in range(CLIPS):
        save(f"data/{number}.wav", voiced(12_000, seed=number))
        rows.append(f"{number}.wav,a b,{number % 4}")
    (tmp_path / "data/metadata.csv").write_text("\n".join(rows))
    return tmp_path / "data"


@pytest.fixture
def predictions(bundle, data):
    """Transcript and label of the original, the fp32 graph, for each clip."""
    engine = wav2edge.load(bundle, variant="fp32", threads=1)
    results = {path: engine(path) for path in sorted(data.glob("*.wav"))}
    return {path: (result.text, result.label) for path, result in results.items()}


@pytest.fixture(scope="module")
def signals():
    cases = synthetic_signals(tiny_bundle.GEOMETRY, longest_s=3.0)
    return {case.name: case.samples for case in cases if case.samples.any()}  # this graph maps silence to zero


@pytest.fixture
def repeatable(own_bundle, signals, predictions):
    return tiny_bundle.record_original(own_bundle, signals, predictions, BUDGET)


@pytest.fixture
def figures(cli):
    """The checks of a repetition by name, from its strict JSON."""

    def checks(*words):
        return {check["name"]: check for check in cli("verify", *words, "--json").json["checks"]}

    return checks


def edit(folder, name, change):
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    list_again(folder, name)


def list_again(folder, name):
    """List a changed file again in the manifest, as an export would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = vars(tiny_bundle.record(folder / name))
    (folder / "manifest.json").write_text(sealed(manifest))


def test_the_repeated_error_of_a_variant_is_the_one_that_onnx_runtime_and_numpy_find(figures, repeatable, signals):
    largest = 0.0
    sessions = [tiny_bundle.open_session(tiny_bundle.graph(step=step)) for step in (0.0, 1 / 64)]
    for samples in signals.values():
        original, variant = (tiny_bundle.outputs_of(session, samples) for session in sessions)
        largest = max(
            largest, *(np.abs(original[name] - variant[name]).max() / np.abs(original[name]).max() for name in original)
        )
    checks = figures(repeatable, "--repeat")
    figure = checks["int8 relative error"]["figures"]
    assert figure["measured"] == pytest.approx(largest, rel=1e-3)
    assert (figure["certified"], figure["allowed"]) == (0.25, 0.25)
    assert list(checks["int8 signals"]["figures"]) == list(signals)
    assert checks["fp32 relative error"]["figures"]["measured"] < 1e-5
    assert not any("clips" in name for name in checks)


def test_a_variant_over_its_budget_here_fails_with_the_figure_and_exit_code_3(cli, repeatable):
    edit(repeatable, "certificate.json", lambda each: each["variants"]["int8"].update(budget={"relative_error": 1e-9}))
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert "1 of 18 checks failed: int8 relative error (0." in outcome.complaint
    assert outcome.complaint.endswith("measured, 0.25 in the certificate, 1e-09 allowed)")
    assert "FAIL  int8 relative error" in outcome.out


def test_changes_of_single_words_are_allowed_as_at_the_export(figures, own_bundle, signals, predictions, data):
    words = 2 * CLIPS
    budget = {"wer_increase": 0.0, "allowed_changes": words}
    checks = figures(tiny_bundle.record_original(own_bundle, signals, predictions, budget), "--data", data)
    assert checks["int8 wer increase"]["figures"]["allowed"] == 1.0
    assert checks["int8 wer increase"]["passed"]


def test_without_options_nothing_is_repeated(figures, repeatable):
    assert not any("signals" in name or "error" in name for name in figures(repeatable))


def test_the_repeated_word_error_rate_is_that_of_jiwer(figures, repeatable, data, predictions):
    engine = wav2edge.load(repeatable, variant="int8", threads=1)
    texts = [engine(path).text for path in predictions]
    references = ["a b"] * CLIPS
    checks = figures(repeatable, "--data", data)
    wer = checks["int8 clips"]["figures"]["wer"]
    assert wer["original"] == pytest.approx(jiwer.wer(references, [text for text, _ in predictions.values()]))
    assert wer["variant"] == pytest.approx(jiwer.wer(references, texts))
    assert checks["int8 wer increase"]["figures"]["measured"] == pytest.approx(wer["variant"] - wer["original"])
    low, high = checks["int8 wer increase"]["figures"]["measured_interval"]
    assert low <= checks["int8 wer increase"]["figures"]["measured"] <= high
    changed = sum(text != original for text, (original, _) in zip(texts, predictions.values(), strict=True))
    assert checks["int8 clips"]["figures"]["changed_transcripts"] == changed
    assert "int8 signals" not in checks


def test_a_clip_is_identified_by_its_content_and_the_others_are_counted(figures, repeatable, data, save):
    (data / "0.wav").rename(data / "renamed.wav")
    save("data/1.wav", voiced(12_000, seed=99))
    (data / "2.wav").unlink()
    table = (data / "metadata.csv").read_text().replace("0.wav", "renamed.wav")
    (data / "metadata.csv").write_text(table)
    clips = figures(repeatable, "--data", data)["fp32 clips"]
    assert clips["figures"]["clips"] == CLIPS - 2
    assert "2 more are not in the certificate" in clips["detail"]


def test_predictions_other_than_the_originals_are_changed_results(cli, own_bundle, signals, predictions, data):
    others = dict.fromkeys(predictions, ("zz", "0"))
    tiny_bundle.record_original(own_bundle, signals, others, {"changed_results": 0.1})
    outcome = cli("verify", own_bundle, "--data", data)
    assert outcome.code == 3
    assert (
        "fp32 changed results (1 [0.6097 to 1.0000] measured, none in the certificate, 0.1 allowed)"
        in outcome.complaint
    )


def test_a_data_set_without_clips_of_the_certificate_is_refused(cli, repeatable, data, save):
    for number in range(CLIPS):
        save(f"data/{number}.wav", voiced(12_000, seed=50 + number))
    outcome = cli("verify", repeatable, "--data", data)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint == (
        f"wav2edge: {data / 'metadata.csv'}:2: none of these {CLIPS} clips is in the certificate;"
        " give the data set and the split that the bundle was exported with"
    )


def test_a_certificate_without_clips_says_so(cli, own_bundle, signals, data):
    tiny_bundle.record_original(own_bundle, signals, {}, BUDGET)
    outcome = cli("verify", own_bundle, "--data", data)
    assert outcome.code == 3
    assert outcome.complaint.endswith("its certificate covers no clips; export it again with --data")


def test_a_bundle_of_an_older_export_says_in_one_line_to_export_again(cli, own_bundle):
    outcome = cli("verify", own_bundle, "--repeat")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.complaint == (
        f"wav2edge: {own_bundle}: has no record of the original's outputs, so its certificate cannot be repeated;"
        " export the bundle again"
    )


def test_a_signal_other_than_the_originals_is_refused(cli, repeatable):
    edit(repeatable, "original.json", lambda document: document["signals"]["offset"].update(sha256="0" * 64))
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert outcome.complaint.startswith(
        "wav2edge: the signal 'offset' differs from the one that the original was given"
    )


@pytest.mark.parametrize("name", ["original.npz", "original.json"])
def test_a_damaged_record_of_the_original_is_refused(cli, repeatable, name):
    (repeatable / name).write_bytes((repeatable / name).read_bytes()[:-1] + b"!")
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert f"{name}: damaged" in outcome.complaint


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("original.json", lambda document: document["signals"].update(other={"sha256": ""})),
        ("original.json", lambda document: document.pop("clips")),
        ("original.json", lambda document: document["clips"].update(x={"words": 1})),
        ("certificate.json", lambda document: document["variants"]["int8"].pop("budget")),
        ("certificate.json", lambda document: document["variants"]["int8"]["budget"].update(novelty=1.0)),
    ],
)
def test_a_record_that_no_export_writes_is_refused_in_one_line(cli, repeatable, name, change):
    edit(repeatable, name, change)
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert "export the bundle again" in outcome.complaint


def test_outputs_of_another_shape_fail_and_the_json_stays_strict(figures, repeatable, signals):
    outputs = {f"{name}/logits": np.zeros((1, 1), np.float32) for name in signals}
    outputs |= {f"{name}/class_logits": np.zeros(4, np.float32) for name in signals}
    np.savez(repeatable / "original.npz", **outputs)
    list_again(repeatable, "original.npz")
    check = figures(repeatable, "--repeat")["fp32 relative error"]
    assert not check["passed"]
    assert check["figures"]["measured"] is None


def test_a_split_without_a_data_set_is_wrong_usage(cli, repeatable):
    outcome = cli("verify", repeatable, "--split", "test")
    assert outcome.code == 2
    assert "give it with --data" in outcome.complaint


def test_a_flipped_bit_anywhere_is_found_before_anything_is_repeated(cli, repeatable, tmp_path):
    folder = shutil.copytree(repeatable, tmp_path / "flipped")
    (folder / "config.json").write_text('{"model_type": "wav2vec3"}\n')
    outcome = cli("verify", folder, "--repeat")
    assert outcome.code == 3
    assert "checks failed: config.json" in outcome.complaint
    assert "signals" not in outcome.out


def test_verify_prints_the_digest_of_the_manifest(cli, bundle):
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert cli("verify", bundle).out.splitlines()[-1] == f"manifest.json has the SHA-256 {digest}"
    assert cli("verify", bundle, "--json").json["manifest_sha256"] == digest
