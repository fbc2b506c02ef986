"""Checkpoints with an adapter per language: one language or several of them in a bundle, against transformers."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2ForCTC

import wav2edge
from tests.export.many_languages import AS_BIN, OF_THE_WEIGHTS, VOCABULARIES, save_in_many_languages
from tests.export.tiny_checkpoints import save_checkpoint
from wav2edge.audio.clip import zero_mean_unit_variance
from wav2edge.bundle.folder import Bundle
from wav2edge.cli import main
from wav2edge.errors import BundleError, CheckpointError, UsageError
from wav2edge.evaluation.parity.signals import voiced
from wav2edge.evaluation.verification import verify
from wav2edge_export.export_options import ExportOptions
from wav2edge_train.checkpoint.loading import load_checkpoint

EXACT = 1e-4
LANGUAGES = ("swh", AS_BIN)


@pytest.fixture(autouse=True, scope="module")
def short_signals():
    """Certificates of up to a second: half a minute is for the tests of certificates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wav2edge.evaluation.parity.signals.LENGTHS_S", (0.03, 0.3, 1.0))
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_in_many_languages(tmp_path_factory.mktemp("checkpoints") / "mms")


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    """Two languages in int8 and fp32; the first is not that of the weights."""
    output = tmp_path_factory.mktemp("bundles") / "two"
    words = ["export", str(checkpoint), "--language", ",".join(LANGUAGES), "--output", str(output)]
    assert main([*words, "--precision", "int8,fp32"]) == 0
    return output


def original(checkpoint, language, samples):
    """Logits, and the transcript without special tokens, by transformers: told the language as its pages tell it."""
    model = Wav2Vec2ForCTC.from_pretrained(checkpoint, target_lang=language, ignore_mismatched_sizes=True).eval()
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(checkpoint, target_lang=language)
    with torch.inference_mode():
        logits = model(torch.from_numpy(zero_mean_unit_variance(samples))[None]).logits[0]
    text = tokenizer.decode(logits.argmax(dim=-1))
    for special in ("<s>", "</s>", "<unk>"):
        text = text.replace(special, "")
    return logits.numpy(), " ".join(text.split())


def test_the_vocabulary_is_that_of_the_language(checkpoint):
    for language, tokens in VOCABULARIES.items():
        found = load_checkpoint(checkpoint, language=language)
        assert (found.language, found.heads.ctc.vocabulary) == (language, tokens)
    assert load_checkpoint(checkpoint).language == OF_THE_WEIGHTS


@pytest.mark.parametrize("changed", ["no such language", "one vocabulary", "no adapters", "no file"])
def test_a_language_that_is_not_there_is_refused(checkpoint, tmp_path, changed):
    folder = tmp_path / "changed"
    if changed in ("one vocabulary", "no adapters"):
        save_checkpoint(folder, "ctc")
        if changed == "no adapters":
            tokens = json.loads((folder / "vocab.json").read_text())
            (folder / "vocab.json").write_text(json.dumps({"swh": tokens}))
    else:
        shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("adapter.swh.*"))
    language, reason = {
        "no such language": ("fra", r"nothing for the language 'fra'; it has eng, swh, tur-script_latin"),
        "one vocabulary": ("swh", "has one vocabulary and no languages"),
        "no adapters": ("swh", "its encoder has no adapters"),
        "no file": ("swh", r"the adapter of 'swh' cannot be read .*put adapter\.swh\.safetensors next to the weights"),
    }[changed]
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(folder, language=language)


def test_a_fine_tuned_checkpoint_needs_no_file_for_the_language_of_its_weights(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / "tuned", ignore=shutil.ignore_patterns("adapter.*"))
    found, whole = (load_checkpoint(folder, language=each) for each in (OF_THE_WEIGHTS, None))
    assert torch.equal(found.model.lm_head.weight, whole.model.lm_head.weight)


def test_inspect_lists_the_languages_of_a_checkpoint(checkpoint, capsys):
    assert main(["inspect", str(checkpoint), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["languages"], facts["language"]) == (list(VOCABULARIES), OF_THE_WEIGHTS)
    assert (facts["architecture"], facts["heads"]) == ("Wav2Vec2ForCTC", ["ctc"])
    assert main(["inspect", str(checkpoint)]) == 0
    assert "languages   3, that of its weights is eng: eng swh tur-script_latin" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_answers_as_transformers_does_with_its_adapter(checkpoint, bundle, language):
    engine = wav2edge.load(bundle, language=language, variant="fp32", threads=1)
    assert engine.heads.ctc.vocabulary == VOCABULARIES[language]
    for samples in (voiced(4_000, seed=1), voiced(16_000, seed=2), voiced(40_000, seed=3)):
        logits, text = original(checkpoint, language, samples)
        assert np.abs(engine.outputs(samples)["logits"] - logits).max() < EXACT
        assert engine(samples, rate_hz=16_000, segments=False).text == text


@pytest.mark.slow
def test_languages_are_variants_with_heads_and_certificates_of_their_own(bundle):
    opened = Bundle.open(bundle)
    variants = opened.manifest.variants
    assert list(variants) == ["int8", "fp32", f"int8-{AS_BIN}", f"fp32-{AS_BIN}"]
    assert variants[f"int8-{AS_BIN}"].file == f"onnx/model_{AS_BIN}_quantized.onnx"
    assert [variants[name].heads is None for name in variants] == [True, True, False, False]
    assert opened.languages == LANGUAGES
    certificates = json.loads((bundle / "certificate.json").read_text())["variants"]
    assert list(certificates) == list(variants)
    assert all(each["passed"] for each in certificates.values())
    assert not [path.name for path in bundle.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_the_certificates_of_all_languages_can_be_repeated(bundle, capsys):
    assert main(["verify", str(bundle), "--repeat", "--threads", "1", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    figures = checks[f"fp32-{AS_BIN} absolute error"]["figures"]
    assert 0 < figures["measured"] <= EXACT <= figures["allowed"]
    assert checks[f"golden int8-{AS_BIN}"]["passed"]


@pytest.mark.slow
def test_run_and_load_choose_a_language_and_otherwise_take_the_first(bundle, tmp_path, capsys):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, voiced(16_000, seed=2), 16_000)
    said = {}
    for language in (None, *LANGUAGES):
        assert main(["run", str(bundle), str(clip), *([] if language is None else ["--language", language])]) == 0
        said[language] = capsys.readouterr().out
    assert said[None] == said["swh"] != said[AS_BIN]
    assert wav2edge.load(bundle, variant=f"int8-{AS_BIN}").heads.ctc.vocabulary == VOCABULARIES[AS_BIN]
    assert wav2edge.load(bundle, language=AS_BIN).precision == f"int8-{AS_BIN}"
    with pytest.raises(BundleError, match=r"nothing in the language 'eng'; it has: swh, tur-script_latin"):
        wav2edge.load(bundle, language="eng")
    with pytest.raises(BundleError, match=r"no variant 'fp16'; it has: fp32-tur-script_latin, int8-tur-script_latin"):
        wav2edge.load(bundle, language=AS_BIN, variant="fp16")


@pytest.mark.slow
def test_the_files_for_transformers_are_in_the_first_language(bundle):
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(bundle)
    assert tokenizer.target_lang == "swh"
    assert json.loads((bundle / "config.json").read_text())["vocab_size"] == len(VOCABULARIES["swh"])


@pytest.mark.slow
def test_one_language_makes_a_bundle_like_any_other_which_names_it(checkpoint, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "a.wav", voiced(12_000, seed=5), 16_000)
    (data / "metadata.csv").write_text("file_name,transcription,split\na.wav,pa ta,test\n")
    words = ["export", str(checkpoint), "--language", "swh", "--output", str(tmp_path / "b"), "--precision", "fp32"]
    assert main([*words, "--data", str(data)]) == 0
    bundle = Bundle.open(tmp_path / "b")
    assert {name: each.language for name, each in bundle.manifest.variants.items()} == {"fp32": "swh"}
    assert all(check.passed for check in verify(bundle))
    assert json.loads((tmp_path / "b/certificate.json").read_text())["variants"]["fp32"]["clips"]["clips"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"languages": ("swh", "swh")}, "give each once"),
        ({"languages": ("swh", "")}, "give each once"),
        ({"languages": ("swh", "../eng")}, "give each once"),
        ({"languages": ("swh", "eng"), "stream_ms": (160,)}, "streams are for bundles in one language"),
    ],
)
def test_languages_that_cannot_be_joined_are_refused(changes, reason, tmp_path):
    with pytest.raises(UsageError, match=reason):
        ExportOptions(checkpoint="nowhere", output=tmp_path, **changes)
