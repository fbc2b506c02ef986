"""Bundles in several languages: variants with heads of their own, chosen by language, by precision, or by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wav2edge
from tests.runtime import tiny_bundle
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.heads import CtcHead, Heads
from wav2edge.bundle.manifest import Manifest, Variant, sealed
from wav2edge.errors import BundleError

OTHER = CtcHead(output="logits", vocabulary=("[PAD]", "|", "k", "p", "t"), blank_id=0)


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """int8 and fp32 in one language, and fp32 in another, whose vocabulary is shorter."""
    folder = tiny_bundle.write_bundle(tmp_path_factory.mktemp("bundles") / "two")
    graph = folder / "onnx/model_swh.onnx"
    graph.write_bytes(tiny_bundle.graph(vocabulary=len(OTHER.vocabulary)).SerializeToString())
    manifest = Bundle.open(folder).manifest
    own = {name: replace(each, language="eng") for name, each in manifest.variants.items()}
    heads = Heads(ctc=OTHER, classification=manifest.heads.classification)
    swh = Variant(file="onnx/model_swh.onnx", precision="fp32", operators="onnx", language="swh", heads=heads)
    written = replace(
        manifest,
        variants={**own, swh.name: swh},
        default_variant="int8",
        files={**manifest.files, swh.file: tiny_bundle.record(graph)},
    )
    (folder / "manifest.json").write_text(written.to_json())
    return folder


def test_a_manifest_keeps_languages_and_heads_of_variants(two_languages: Path) -> None:
    manifest = Bundle.open(two_languages).manifest
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert Bundle.open(two_languages).languages == ("eng", "swh")
    assert list(manifest.variants) == ["fp32", "int8", "fp32-swh"]


@pytest.mark.parametrize(
    ("asked", "variant"),
    [
        ({}, "int8"),
        ({"variant": "fp32"}, "fp32"),
        ({"variant": "fp32-swh"}, "fp32-swh"),
        ({"language": "eng"}, "int8"),
        ({"language": "swh"}, "fp32-swh"),
        ({"language": "swh", "variant": "fp32"}, "fp32-swh"),
        ({"language": "swh", "variant": "fp32-swh"}, "fp32-swh"),
    ],
)
def test_load_finds_the_variant_of_a_language(two_languages: Path, asked: dict[str, Any], variant: str) -> None:
    engine = wav2edge.load(two_languages, threads=1, **asked)
    assert engine.precision == variant
    vocabulary = OTHER.vocabulary if variant.endswith("swh") else tiny_bundle.VOCABULARY
    assert engine.heads.ctc is not None
    assert engine.heads.ctc.vocabulary == vocabulary
    assert engine.outputs(tiny_bundle.noise(16_000))["logits"].shape == (49, len(vocabulary))


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"language": "fra"}, "nothing in the language 'fra'; it has: eng, swh"),
        ({"language": "swh", "variant": "int8"}, "no variant 'int8'; it has: fp32-swh"),
        ({"language": "eng", "variant": "fp32-swh"}, "no variant 'fp32-swh'; it has: fp32, int8"),
    ],
)
def test_what_a_bundle_does_not_have_is_refused(two_languages: Path, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        wav2edge.load(two_languages, **asked)


def test_a_language_of_a_bundle_without_languages_is_refused(bundle: Path, cli: Callable[..., Any], clip: Path) -> None:
    outcome = cli("run", bundle, clip, "--language", "eng")
    assert outcome.code == 3
    assert "nothing in the language 'eng'; it has: none, so leave the language out" in outcome.complaint


def test_inspect_says_which_languages_and_whose_variants(two_languages: Path, cli: Callable[..., Any]) -> None:
    facts = cli("inspect", two_languages, "--json").json
    assert facts["languages"] == ["eng", "swh"]
    assert facts["variants"]["fp32-swh"]["vocabulary"] == list(OTHER.vocabulary)
    text = cli("inspect", two_languages).out
    assert "languages   eng swh" in text
    assert "onnx/model_swh.onnx  swh" in text


def test_heads_of_a_variant_that_are_damaged_are_refused(two_languages: Path) -> None:
    document = json.loads((two_languages / "manifest.json").read_text())
    document["variants"]["fp32-swh"]["heads"]["ctc"]["blank_id"] = 9
    with pytest.raises(BundleError, match="the blank id 9 is outside the vocabulary of 5 tokens"):
        Manifest.from_json(sealed(document))
