"""`wav2edge verify --repeat` and `--data`: the certificate measured again on this device, without PyTorch."""

from __future__ import annotations

import json
import shutil

import jiwer
import numpy as np
import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.evaluation.parity.signals import parity_grid, voiced

BUDGET = {"relative_error": 0.25, "wer_increase": 0.005}
CLIPS = 6


@pytest.fixture
def data(save, tmp_path):
    """Six clips of a voice, all said to hold the same words."""
    rows = ["file_name,transcription,label"]
    for number in range(CLIPS):
        save(f"data/{number}.wav", voiced(12_000, seed=number))
        rows.append(f"{number}.wav,a b,{number % 4}")
    (tmp_path / "data/metadata.csv").write_text("\n".join(rows))
    return tmp_path / "data"


@pytest.fixture
def heard(bundle, data):
    """What the original, the fp32 graph, answers to each clip."""
    engine = wav2edge.load(bundle, variant="fp32", threads=1)
    results = {path: engine(path) for path in sorted(data.glob("*.wav"))}
    return {path: (result.text, result.label) for path, result in results.items()}


@pytest.fixture
def signals():
    cases = parity_grid(tiny_bundle.GEOMETRY, longest_s=3.0)
    return {case.name: case.samples for case in cases if case.samples.any()}  # this graph maps silence to zero


@pytest.fixture
def repeatable(own_bundle, signals, heard):
    return tiny_bundle.record_originals(own_bundle, signals, heard, BUDGET)


@pytest.fixture
def figures(cli):
    """The checks of a repetition by name, from its strict JSON."""

    def checks(*words):
        return {check["name"]: check for check in cli("verify", *words, "--json").json}

    return checks


def edit(folder, name, change):
    document = json.loads((folder / name).read_text())
    change(document)
    (folder / name).write_text(json.dumps(document))
    list_again(folder, name)


def list_again(folder, name):
    """Let the manifest know what a file is now: as its maker could have."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = vars(tiny_bundle.record(folder / name))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_repeated_error_of_a_variant_is_the_one_that_onnx_runtime_and_numpy_find(figures, repeatable, signals):
    largest = 0.0
    for samples in signals.values():
        original, variant = (tiny_bundle.answer_of(tiny_bundle.graph(step=step), samples) for step in (0.0, 1 / 64))
        largest = max(
            largest, *(np.abs(original[name] - variant[name]).max() / np.abs(original[name]).max() for name in original)
        )
    checks = figures(repeatable, "--repeat")
    figure = checks["int8 relative error"]["figures"]
    assert figure["here"] == pytest.approx(largest, rel=1e-3)
    assert (figure["there"], figure["allowed"]) == (0.25, 0.25)
    assert list(checks["int8 signals"]["figures"]) == list(signals)
    assert checks["fp32 relative error"]["figures"]["here"] < 1e-5
    assert not any("clips" in name for name in checks)


def test_a_variant_over_its_budget_here_fails_with_the_figure_and_exit_code_3(cli, repeatable):
    edit(repeatable, "certificate.json", lambda each: each["variants"]["int8"].update(budget={"relative_error": 1e-9}))
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert "1 of 17 checks failed: int8 relative error (0." in outcome.complaint
    assert outcome.complaint.endswith("here, 0.25 there, 1e-09 allowed)")
    assert "FAIL  int8 relative error" in outcome.out


def test_one_answer_of_few_clips_is_forgiven_here_as_it_was_at_export(figures, own_bundle, signals, heard, data):
    words = 2 * CLIPS
    budget = {"wer_increase": 0.0, "forgiven": words}
    checks = figures(tiny_bundle.record_originals(own_bundle, signals, heard, budget), "--data", data)
    assert checks["int8 wer increase"]["figures"]["allowed"] == 1.0
    assert checks["int8 wer increase"]["passed"]


def test_without_options_nothing_is_repeated(figures, repeatable):
    assert not any("signals" in name or "error" in name for name in figures(repeatable))


def test_the_repeated_word_error_rate_is_that_of_jiwer(figures, repeatable, data, heard):
    engine = wav2edge.load(repeatable, variant="int8", threads=1)
    texts = [engine(path).text for path in heard]
    references = ["a b"] * CLIPS
    checks = figures(repeatable, "--data", data)
    wer = checks["int8 clips"]["figures"]["wer"]
    assert wer["original"] == pytest.approx(jiwer.wer(references, [text for text, _ in heard.values()]))
    assert wer["variant"] == pytest.approx(jiwer.wer(references, texts))
    assert checks["int8 wer increase"]["figures"]["here"] == pytest.approx(wer["variant"] - wer["original"])
    low, high = checks["int8 wer increase"]["figures"]["here_interval"]
    assert low <= checks["int8 wer increase"]["figures"]["here"] <= high
    changed = sum(text != original for text, (original, _) in zip(texts, heard.values(), strict=True))
    assert checks["int8 clips"]["figures"]["changed_transcripts"] == changed
    assert "int8 signals" not in checks


def test_a_clip_is_known_by_its_content_under_any_name_and_the_others_are_counted(figures, repeatable, data, save):
    (data / "0.wav").rename(data / "renamed.wav")
    save("data/1.wav", voiced(12_000, seed=99))
    (data / "2.wav").unlink()
    table = (data / "metadata.csv").read_text().replace("0.wav", "renamed.wav")
    (data / "metadata.csv").write_text(table)
    clips = figures(repeatable, "--data", data)["fp32 clips"]
    assert clips["figures"]["clips"] == CLIPS - 2
    assert "2 more are not known to the certificate" in clips["detail"]


def test_an_original_that_answered_otherwise_is_seen_as_changed_answers(cli, own_bundle, signals, heard, data):
    others = dict.fromkeys(heard, ("zz", "0"))
    tiny_bundle.record_originals(own_bundle, signals, others, {"changed_answers": 0.1})
    outcome = cli("verify", own_bundle, "--data", data)
    assert outcome.code == 3
    assert "fp32 changed answers (1 [0.6097 to 1.0000] here, not measured there, 0.1 allowed)" in outcome.complaint


def test_a_data_set_that_the_certificate_knows_nothing_of_is_refused(cli, repeatable, data, save):
    for number in range(CLIPS):
        save(f"data/{number}.wav", voiced(12_000, seed=50 + number))
    outcome = cli("verify", repeatable, "--data", data)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint == (
        f"wav2edge: {data / 'metadata.csv'}:2: the certificate knows none of these {CLIPS} clips;"
        " give the data set and the split that the bundle was exported with"
    )


def test_a_certificate_that_was_judged_on_no_clips_says_so(cli, own_bundle, signals, data):
    tiny_bundle.record_originals(own_bundle, signals, {}, BUDGET)
    outcome = cli("verify", own_bundle, "--data", data)
    assert outcome.code == 3
    assert outcome.complaint.endswith("its certificate was judged on no clips; export it again with --data")


def test_a_bundle_of_an_older_export_says_in_one_line_to_export_again(cli, own_bundle):
    outcome = cli("verify", own_bundle, "--repeat")
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.complaint == (
        f"wav2edge: {own_bundle}: does not hold what the original answered, and only newer exports do;"
        " export the bundle again"
    )


def test_a_signal_that_is_not_the_one_the_original_heard_is_refused(cli, repeatable):
    edit(repeatable, "original.json", lambda document: document["cases"]["offset"].update(sha256="0" * 64))
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert outcome.complaint.startswith("wav2edge: the signal 'offset' is not the one that the original heard")


@pytest.mark.parametrize("name", ["original.npz", "original.json"])
def test_a_damaged_record_of_the_original_is_refused(cli, repeatable, name):
    (repeatable / name).write_bytes((repeatable / name).read_bytes()[:-1] + b"!")
    outcome = cli("verify", repeatable, "--repeat")
    assert outcome.code == 3
    assert f"{name}: damaged" in outcome.complaint


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("original.json", lambda document: document["cases"].update(other={"sha256": ""})),
        ("original.json", lambda document: document.pop("clips")),
        ("original.json", lambda document: document["clips"].update(x={"words": 1})),
        ("certificate.json", lambda document: document["variants"]["int8"].pop("budget")),
        ("certificate.json", lambda document: document["variants"]["int8"]["budget"].update(novelty=1.0)),
    ],
)
def test_a_record_that_an_export_does_not_write_is_one_line(cli, repeatable, name, change):
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
    assert check["figures"]["here"] is None


def test_a_split_without_a_data_set_is_wrong_usage(cli, repeatable):
    outcome = cli("verify", repeatable, "--split", "test")
    assert outcome.code == 2
    assert "give it with --data" in outcome.complaint


def test_inspect_shows_the_verdict_of_each_certificate(cli, repeatable):
    verdict = cli("inspect", repeatable, "--json").json["variants"]["int8"]["certificate"]
    assert (verdict["passed"], verdict["measured"]["relative_error"]) == (True, 0.25)
    assert "int8  certified: logits within 1e-06" in cli("inspect", repeatable).out


def test_inspect_of_a_bundle_without_a_certificate_says_nothing_of_it(cli, own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    del manifest["files"]["certificate.json"]
    (own_bundle / "manifest.json").write_text(json.dumps(manifest))
    assert cli("inspect", own_bundle, "--json").json["variants"]["int8"]["certificate"] is None
    assert "certified" not in cli("inspect", own_bundle).out


def test_a_flipped_bit_anywhere_is_found_before_anything_is_repeated(cli, repeatable, tmp_path):
    folder = shutil.copytree(repeatable, tmp_path / "flipped")
    (folder / "config.json").write_text('{"model_type": "wav2vec3"}\n')
    outcome = cli("verify", folder, "--repeat")
    assert outcome.code == 3
    assert "checks failed: config.json" in outcome.complaint
    assert "signals" not in outcome.out
