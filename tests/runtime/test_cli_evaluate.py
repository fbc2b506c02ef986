"""`wav2edge evaluate`."""

from __future__ import annotations

import pytest


@pytest.fixture
def dataset(save, second, tmp_path):
    """A data set of good clips, and the rows given."""

    def write(*rows: str):
        for name in ("a.wav", "b.wav"):
            save(f"data/{name}", second)
        lines = ["file_name,transcription,label", *rows]
        (tmp_path / "data/metadata.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "data"

    return write


def test_evaluate_reports_as_json_and_as_a_table(cli, bundle, dataset, engine, second):
    found = engine(second, rate_hz=16_000)
    data = dataset(f"a.wav,{found.text},{found.label}", f"b.wav,zz,{found.label}")
    outcome = cli("evaluate", bundle, data, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert (outcome.json["accuracy"], outcome.json["clips"]) == (1.0, 2)
    assert outcome.json["wer"] > 0
    table = cli("evaluate", bundle, data)
    assert f"WER       {outcome.json['wer']:.4f}" in table.out


@pytest.mark.parametrize("failing", ["unknown label", "empty file"])
def test_one_row_that_fails_is_listed_and_the_rest_is_reported(cli, bundle, dataset, failing):
    label = "left" if failing == "unknown label" else "1"
    data = dataset("a.wav,x,1", f"b.wav,x,{label}")
    if failing == "empty file":
        (data / "b.wav").write_bytes(b"")
    reasons = {
        "unknown label": "label 'left' is unknown to the model, which has 0, 1, 2, 3",
        "empty file": f"{data / 'b.wav'}: empty file; record or copy it again",
    }
    message = f"{data / 'metadata.csv'}:3: {reasons[failing]}"
    outcome = cli("evaluate", bundle, data, "--json")
    assert (outcome.code, outcome.json["clips"], outcome.json["failures"]) == (1, 1, [message])
    assert outcome.complaint == f"wav2edge: {message}"
    assert cli("evaluate", bundle, data).out.splitlines()[-1] == "failed    1 of 2 rows"


def test_an_evaluation_of_rows_that_all_fail_is_an_error(cli, bundle, dataset):
    outcome = cli("evaluate", bundle, dataset("gone.wav,x,1", "lost.wav,x,1"))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.complaint.startswith("wav2edge: all 2 rows failed; the first: ")


def test_evaluate_normalises_case_and_punctuation_on_request(cli, bundle, dataset, engine, second):
    text = engine(second, rate_hz=16_000).text
    data = dataset(f"a.wav,{text.upper()}.,1")
    plain = cli("evaluate", bundle, data, "--json")
    assert plain.json["text_normalization"] == {"lowercase": False, "strip_punctuation": False}
    assert "differences in case or punctuation only" in plain.complaint
    normalized = cli("evaluate", bundle, data, "--lowercase", "--strip-punctuation", "--json")
    assert (normalized.err, normalized.json["wer"]) == ("", 0.0)
    assert normalized.json["text_normalization"] == {"lowercase": True, "strip_punctuation": True}


def test_a_split_that_is_not_there_is_refused(cli, bundle, dataset):
    outcome = cli("evaluate", bundle, dataset("a.wav,x,1"), "--split", "test")
    assert outcome.code == 1
    assert "no row belongs to the split 'test'" in outcome.complaint


def test_an_evaluation_uses_the_decoder_that_is_asked_for(cli, bundle, dataset, tmp_path):
    (tmp_path / "phrases.txt").write_text("cab\n")
    data = dataset("a.wav,cab,1", "b.wav,cab,1")
    assert cli("evaluate", bundle, data, "--json").json["wer"] > 0
    assert cli("evaluate", bundle, data, "--phrases", tmp_path / "phrases.txt", "--json").json["wer"] == 0


@pytest.mark.parametrize(
    "option",
    [("--device", "cuda"), ("--variant", "int8"), ("--threads", "1"), ("--gpu-memory", "4"), ("--stream", "160")],
    ids=" ".join,
)
def test_what_only_a_bundle_has_is_refused_for_a_checkpoint(cli, dataset, tmp_path, option):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    outcome = cli("evaluate", checkpoint, dataset("a.wav,x,1"), *option)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.complaint == (
        f"wav2edge: {option[0]} needs a bundle, and {checkpoint} is a PyTorch checkpoint; leave it out"
    )
