"""Bundles that say how they are decoded by default."""

from __future__ import annotations

import json

import numpy as np
import pytest

import wav2edge
from wav2edge import BundleError, UsageError
from wav2edge.bundle.folder import Bundle, sha256_of
from wav2edge.bundle.manifest import sealed
from wav2edge.bundle.stored_decoder import described_decoder, language_model_path

ARPA = "\\data\\\nngram 1=3\n\n\\1-grams:\n-1.0 <s>\n-1.0 </s>\n-0.5 ab\n\n\\end\\\n"


@pytest.fixture
def storing(own_bundle):
    """A function that puts a description of a decoder, and files, into the bundle."""

    def store(description, **files: str):
        path = own_bundle / "manifest.json"
        document = json.loads(path.read_text())
        document["decoder"] = description
        for name, content in files.items():
            file = own_bundle / name.replace("_", ".")
            file.write_text(content)
            record = {"sha256": sha256_of(file), "size_bytes": file.stat().st_size}
            document["files"][file.name] = record
        path.write_text(sealed(document))
        return own_bundle

    return store


def test_a_bundle_decodes_with_its_own_decoder_unless_told_otherwise(storing, clip):
    folder = storing({"grammar": {"phrases": ["cab", "a b"], "least_fit": 0.0}})
    engine = wav2edge.load(folder)
    assert engine.decoder == wav2edge.Grammar(("cab", "a b"))
    assert engine(clip).text in ("cab", "a b")
    greedy = wav2edge.load(folder, decoder=wav2edge.Greedy())
    assert isinstance(greedy.decoder, wav2edge.Greedy)


def test_evaluation_and_run_take_the_bundles_decoder_and_verification_the_best_path(storing, cli, clip):
    folder = storing({"grammar": {"phrases": ["cab", "a b"]}})
    assert cli("run", folder, clip, "--format", "json").json["text"] in ("cab", "a b")
    assert cli("verify", folder).code == 0
    assert cli("run", folder, clip, "--greedy", "--format", "json").json["text"] not in ("cab", "a b")


def test_the_language_model_of_a_stored_decoder_is_a_file_of_the_bundle(storing):
    folder = storing({"beam": {"width": 4, "lm": "lm.arpa", "hotwords": {"ab": 2.0}}}, lm_arpa=ARPA)
    decoder = Bundle.open(folder).decoder()
    assert (decoder.width, decoder.hotwords, language_model_path(decoder)) == (4, {"ab": 2.0}, folder / "lm.arpa")
    assert decoder.decode(np.zeros((2, 8), np.float32), wav2edge.load(folder).heads.ctc)
    (folder / "lm.arpa").write_text(ARPA.replace("0.5", "0.7"))
    with pytest.raises(BundleError, match="damaged"):
        Bundle.open(folder).decoder()


def test_a_language_model_outside_the_bundle_is_not_read(storing, tmp_path):
    (tmp_path / "lm.arpa").write_text(ARPA)
    with pytest.raises(BundleError, match=r"has no \.\./lm\.arpa"):
        wav2edge.load(storing({"beam": {"lm": "../lm.arpa"}}))


DAMAGED = [
    ({"beam": {}, "grammar": {}}, "one of beam, grammar"),
    ({"viterbi": {}}, "one of beam, grammar; got 'viterbi'"),
    ({"beam": {"wide": 3}}, "the options of 'beam' are among"),
    ({"beam": None}, "the options of 'beam' are among"),
    ({"beam": {"width": "wide"}}, "the options of 'beam' are"),
    ({"beam": {"width": 0}}, "width is 0"),
    ({"grammar": {}}, "phrases"),
    ({"grammar": {"phrases": [], "least_fit": 0.1}}, "without phrases"),
]


@pytest.mark.parametrize(("description", "reason"), DAMAGED)
def test_what_describes_no_decoder_is_refused(storing, tmp_path, description, reason):
    with pytest.raises(UsageError, match=reason):
        described_decoder(description, tmp_path)
    with pytest.raises(BundleError, match=reason):
        wav2edge.load(storing(description))


def test_what_is_no_decoder_is_refused_when_it_is_loaded(bundle):
    with pytest.raises(wav2edge.UsageError, match=r"decoder is 'greedy'; give a Beam, Grammar or Greedy"):
        wav2edge.load(bundle, decoder="greedy")
