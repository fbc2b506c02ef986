"""Bundles with cached streams: exported, certified, verified, evaluated and benched from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.bundle.folder import CERTIFICATE, GOLDEN, Bundle
from wav2edge.cli import main
from wav2edge.errors import UsageError
from wav2edge.evaluation.parity.differences import Budget
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.inference.streaming.opening import chunk_lengths_ms, in_chunks
from wav2edge_export.quantization import recipes
from wav2edge_export.quantization.recipes import RECIPES

pytestmark = pytest.mark.slow  # exports or trains a model in most of its tests

STREAMING = {"chunk_frames": [8], "left_frames": [32], "delay_frames": 5, "normalize": True}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("streaming") / "checkpoint", "joint", streaming=STREAMING)


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    output = tmp_path_factory.mktemp("streaming") / "bundle"
    words = ["export", str(checkpoint), "--output", str(output), "--precision", "int8,fp32", "--stream", "160,320"]
    assert main(words) == 0
    return output


def test_the_manifest_describes_the_streams(bundle):
    manifest = Bundle.open(bundle).manifest
    assert chunk_lengths_ms(manifest) == {160: 8, 320: 16}
    assert (manifest.stream.left_frames, manifest.stream.look_ahead_frames, manifest.stream.delay_frames) == (64, 0, 5)
    assert dict(manifest.stream.files) == {
        "int8": "onnx/model_stream_quantized.onnx",
        "fp32": "onnx/model_stream.onnx",
    }


def test_every_chunk_of_every_precision_has_a_certificate_and_golden_outputs(bundle):
    certificate, golden = (json.loads((bundle / name).read_text()) for name in (CERTIFICATE, GOLDEN))
    for document in (certificate, golden):
        assert {name: list(chunks) for name, chunks in document["streams"].items()} == {
            "int8": ["160", "320"],
            "fp32": ["160", "320"],
        }
    exact = certificate["streams"]["fp32"]["160"]
    assert exact["passed"]
    assert exact["measured"]["absolute_error"] < 1e-4


def test_the_certificate_of_a_stream_says_what_its_chunks_cost(checkpoint, tmp_path):
    soundfile.write(tmp_path / "clip.wav", voiced(24_000), 16_000)
    (tmp_path / "metadata.csv").write_text("file_name,transcription,label\nclip.wav,ka ta,1\n")
    output = tmp_path / "bundle"
    words = ["export", str(checkpoint), "--output", str(output), "--precision", "fp32", "--stream", "160"]
    assert main([*words, "--data", str(tmp_path)]) == 0
    entry = json.loads((output / CERTIFICATE).read_text())["streams"]["fp32"]["160"]
    assert set(entry["original_on_whole_clips"]) == {"WER", "accuracy"}
    assert entry["clips"]["wer"]["original"] == entry["clips"]["wer"]["variant"]
    assert "| fp32 | `onnx/model_stream.onnx` | 160 |" in (output / "README.md").read_text()


def test_verify_checks_streams_and_repeats_their_certificates(bundle, capsys):
    assert main(["verify", str(bundle), "--repeat", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    for name in ("certificate", "golden"):
        assert f"ok    {name} int8 stream of 320 ms" in out
    assert "fp32 stream of 160 ms absolute error" in out
    assert "FAIL" not in out


def test_a_damaged_stream_is_found_by_verify_and_refused_by_a_stream(bundle, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in bundle.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(bundle)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    graph = copy / "onnx/model_stream_quantized.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    assert main(["verify", str(copy)]) == 3
    assert "model_stream_quantized.onnx" in capsys.readouterr().err
    with pytest.raises(wav2edge.BundleError, match="damaged, its SHA-256"):
        wav2edge.load(copy).stream()


def test_a_stream_is_cached_where_it_can_be_and_gives_what_clips_in_chunks_give(bundle):
    engine = wav2edge.load(bundle, variant="fp32", threads=1)
    sound = voiced(40_000)
    endpointing = wav2edge.Endpointing(vad="none", padding_s=0, blank_s=10)
    with engine.stream(chunk_ms=320, endpointing=endpointing) as stream:
        events = [event for at in range(0, len(sound), 777) for event in stream.feed(sound[at : at + 777])]
        events += stream.finish()
    expected = in_chunks(engine, 320)(sound, rate_hz=16_000, segments=False)
    assert events[-1].text == expected.text
    assert events[-1].label == expected.label
    assert [word.start_s for word in events[-1].words] == pytest.approx([word.start_s for word in expected.words])


def test_a_stream_takes_the_precision_of_its_engine(bundle):
    for name in ("int8", "fp32"):
        assert wav2edge.load(bundle, variant=name).stream_graphs.precision == name


def test_a_chunk_that_is_not_certified_is_refused_with_those_that_are(bundle):
    with pytest.raises(UsageError, match="no stream in chunks of 80 ms; it has 160, 320 ms"):
        wav2edge.load(bundle).stream(chunk_ms=80)


def test_evaluate_hears_clips_as_streams(bundle, tmp_path, capsys):
    soundfile.write(tmp_path / "clip.wav", voiced(24_000), 16_000)
    (tmp_path / "metadata.csv").write_text("file_name,transcription,label\nclip.wav,ka ta,1\n")
    assert main(["evaluate", str(bundle), str(tmp_path), "--stream", "160", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 1


def test_bench_measures_every_chunk(bundle, capsys):
    assert main(["bench", str(bundle), "--stream", "--threads", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [sample["chunk_s"] for sample in report["samples"]] == [0.16, 0.32]
    for sample in report["samples"]:
        assert sample["p99_s"] >= sample["p95_s"] >= sample["median_s"] > 0
        assert sample["state_bytes"] == 80 * 48 * 2 * 2 * 4 + 8 * 48 * 4 + 48 * 8 + 16 + 8


def test_bench_of_streams_needs_streams(bundles, capsys):
    assert main(["bench", str(bundles("ctc").folder), "--stream"]) == 2
    assert "has no graphs for cached streams; train with --streaming" in capsys.readouterr().err


def test_a_stream_over_its_budget_is_refused_and_the_rest_is_written(checkpoint, tmp_path, monkeypatch, capsys):
    def only_streams(precision, budget, **how):
        strict = Budget(relative_error=1e-9) if "stream" in precision and "int8" in precision else budget
        return certify(precision, strict, **how)

    from wav2edge_export.bundle import certification

    certify = certification.certify
    monkeypatch.setattr(certification, "certify", only_streams)
    output = tmp_path / "bundle"
    words = ["export", str(checkpoint), "--output", str(output), "--precision", "int8,fp32", "--stream", "160"]
    assert main(words) == 1
    assert "int8 stream of 160 ms refused, not written" in capsys.readouterr().err
    assert list(Bundle.open(output).manifest.stream.files) == ["fp32"]
    assert not (output / "onnx/model_stream_quantized.onnx").exists()


def test_nothing_is_written_where_no_stream_keeps_its_budget(checkpoint, tmp_path, monkeypatch, capsys):
    impossible = replace(RECIPES["fp32"], budget=Budget(relative_error=1e-12))
    monkeypatch.setitem(recipes.RECIPES, "fp32", impossible)
    output = tmp_path / "bundle"
    assert main(["export", str(checkpoint), "--output", str(output), "--precision", "fp32", "--stream", "160"]) == 1
    assert "nothing written" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--stream", "soon"], "--stream 'soon': give milliseconds with commas, such as 160,320"),
        (["--stream", "160,160"], "give each once, above 0"),
        (["--stream", "0"], "give each once, above 0"),
        (["--stream", "150"], "give multiples of 20 ms"),
        (["--left-context", "2"], "are for streams; give --stream MS"),
        (["--stream", "160", "--left-context", "0"], "a left context of 0.0 s; give 0.1 to 30 s"),
        (["--stream", "160", "--look-ahead", "-20"], "a look-ahead of -20 ms; give 0 or more"),
        (["--stream", "160", "--operators", "gpu"], "cached streams run on the CPU; leave out --stream"),
    ],
)
def test_wrong_options_are_refused_in_one_line(checkpoint, tmp_path, words, reason, capsys):
    assert main(["export", str(checkpoint), "--output", str(tmp_path / "bundle"), *words]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_checkpoint_that_was_not_trained_for_streams_is_refused_before_anything_is_exported(
    checkpoints, tmp_path, capsys
):
    words = ["export", str(checkpoints("joint")), "--output", str(tmp_path / "bundle"), "--stream", "160"]
    assert main(words) == 3
    assert "was not trained for streams; train it with --streaming" in capsys.readouterr().err
    assert "making int8" not in capsys.readouterr().err


def test_a_cached_stream_is_the_same_in_any_blocks(bundle):
    engine = wav2edge.load(bundle, threads=1)
    sound = np.concatenate([np.zeros(8_000, np.float32), voiced(30_000), np.zeros(16_000, np.float32)])

    def said(block):
        with engine.stream() as stream:
            events = [event for at in range(0, len(sound), block) for event in stream.feed(sound[at : at + block])]
            events += stream.finish()
        return [{**event.to_dict(), "latency_s": 0} for event in events]

    assert said(320) == said(5_000) == said(len(sound))
    assert said(320)


def test_a_second_pass_gives_what_the_whole_utterance_gives(bundle):
    engine = wav2edge.load(bundle, variant="fp32", threads=1)
    sound = voiced(40_000)
    endpointing = wav2edge.Endpointing(vad="none", padding_s=0, blank_s=10)
    with engine.stream(kind="two-pass", endpointing=endpointing) as stream:
        events = [event for at in range(0, len(sound), 777) for event in stream.feed(sound[at : at + 777])]
        (final,) = stream.finish()
    expected = engine(sound, rate_hz=16_000, segments=False)
    assert (final.text, final.label) == (expected.text, expected.label)
    assert final.scores == pytest.approx(expected.scores)
    assert events
    assert all(event.stable_words == 0 for event in events)


def test_a_second_pass_over_a_long_utterance_comes_where_it_is_parted(bundle):
    engine = wav2edge.load(bundle, threads=1)
    engine.longest_clip_s = 1.0
    sound = voiced(96_000)
    endpointing = wav2edge.Endpointing(vad="none", padding_s=0, blank_s=10)

    def finals(block):
        with engine.stream(kind="two-pass", endpointing=endpointing) as stream:
            events = [event for at in range(0, len(sound), block) for event in stream.feed(sound[at : at + block])]
            events += stream.finish()
        return [{**event.to_dict(), "latency_s": 0} for event in events if isinstance(event, wav2edge.Final)]

    found = finals(1_234)
    assert len(found) > 1
    assert found == finals(len(sound))
    starts_s = [each["start_s"] for each in found]
    assert starts_s == sorted(starts_s)
