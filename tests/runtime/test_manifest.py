from __future__ import annotations

import dataclasses
import json

import pytest

from wav2edge import BundleError
from wav2edge.bundle.manifest import FORMAT_VERSION, Manifest, sealed


@pytest.fixture(scope="module")
def text(bundle) -> str:
    return (bundle / "manifest.json").read_text()


def refusal(text: str | bytes) -> str:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(text: str, change) -> str:
    document = json.loads(text)
    change(document)
    return sealed(document)


def test_a_manifest_survives_the_round_trip_byte_by_byte(text):
    assert Manifest.from_json(text).to_json() == text


@pytest.mark.parametrize("missing", ["ctc", "classification"])
def test_a_manifest_of_one_head_survives_the_round_trip(text, missing):
    manifest = Manifest.from_json(text)
    one = dataclasses.replace(manifest, heads=dataclasses.replace(manifest.heads, **{missing: None}))
    assert Manifest.from_json(one.to_json()) == one


def test_the_values_of_a_manifest_are_those_written(text):
    manifest = Manifest.from_json(text)
    assert (manifest.name, manifest.default_variant, sorted(manifest.variants)) == ("tiny", "fp32", ["fp32", "int8"])
    assert manifest.heads.ctc.vocabulary[:3] == ("[PAD]", "|", "A")
    assert manifest.heads.classification.labels == ("0", "1", "2", "3")
    assert manifest.geometry.frames(16_000) == 49


@pytest.mark.parametrize("verdict", [True, False, None])
def test_whether_word_times_are_true_survives_the_round_trip_and_may_be_missing(text, verdict):
    manifest = dataclasses.replace(Manifest.from_json(text), word_times=verdict)
    assert Manifest.from_json(manifest.to_json()).word_times is verdict
    assert Manifest.from_json(changed(text, lambda document: document.pop("word_times"))).word_times is None
    assert "'word_times' is not a bool" in refusal(changed(text, lambda document: document.update(word_times="yes")))


def test_confidence_temperatures_survive_the_round_trip_and_may_be_missing(text):
    found = {"ctc": 1.27, "classification": 2.0}
    manifest = dataclasses.replace(Manifest.from_json(text), confidence_temperature=found)
    assert Manifest.from_json(manifest.to_json()).confidence_temperature == found
    without = changed(text, lambda document: document.pop("confidence_temperature"))
    assert Manifest.from_json(without).confidence_temperature is None


@pytest.mark.parametrize("value", [0, -1.5, "2", None])
def test_a_confidence_temperature_that_is_no_positive_number_is_refused(text, value):
    damaged = changed(text, lambda document: document.update(confidence_temperature={"ctc": value}))
    assert "'ctc' in 'confidence_temperature' is" in refusal(damaged)


@pytest.mark.parametrize("content", ["", "{", "not json", b"\xff\xfe\x00", '{"format": '])
def test_what_is_not_json_is_refused(content):
    assert refusal(content).startswith("not JSON (")


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"format": "something-else"}'])
def test_json_of_another_kind_is_refused(content):
    assert refusal(content) == "not a wav2edge-bundle; is this the right folder?"


def test_a_newer_format_is_refused_with_the_way_to_upgrade(text):
    newer = changed(text, lambda document: document.update(format_version=FORMAT_VERSION + 1))
    assert refusal(newer) == (
        "format version 3 is newer than 2, the newest this wav2edge reads; upgrade: pip install -U wav2edge"
    )


@pytest.mark.parametrize("version", [None, "1", 1.5, 0, -1])
def test_an_invalid_format_version_is_not_called_newer(text, version):
    strange = changed(text, lambda document: document.update(format_version=version))
    assert refusal(strange) == f"'format_version' is {version!r}, not a version; export the bundle again"


KEYS = (
    "name",
    "model_type",
    "sample_rate_hz",
    "conv_kernels",
    "conv_strides",
    "heads",
    "variants",
    "default_variant",
    "parameters",
    "macs_per_s",
    "files",
    "made_with",
)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_named(text, key):
    assert refusal(changed(text, lambda document: document.pop(key))) == f"{key!r} is missing; export the bundle again"


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_another_type_is_named(text, key):
    assert refusal(changed(text, lambda document: document.update({key: 1.5}))).startswith(f"{key!r} is not a ")


def put(*path: str | int, value: object):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return change


def take(*path: str):
    def change(document):
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("sample_rate_hz", value=8_000), "'sample_rate_hz' is 8000; only 16000 is supported"),
        (put("conv_kernels", value=[10]), "1 kernels and 7 strides"),
        (put("conv_kernels", 0, value="ten"), "not supported between"),
        (put("default_variant", value="fp16"), "the default variant 'fp16' is not among ['fp32', 'int8']"),
        (put("variants", "fp32", "file", value="other.onnx"), "names 'other.onnx', which is not listed"),
        (put("variants", "fp32", value=[]), "'fp32' in 'variants' has a missing or an unknown key"),
        (take("variants", "fp32", "precision"), "'fp32' in 'variants' has a missing or an unknown key"),
        (take("files", "golden.json", "sha256"), "'golden.json' in 'files' has a missing or an unknown key"),
        (put("files", "golden.json", "mode", value=0), "'golden.json' in 'files' has a missing or an unknown key"),
        (put("heads", value={}), "a model needs a head"),
        (put("heads", "ctc", value=[]), "'ctc' is not a dict"),
        (take("heads", "ctc", "blank_id"), "'blank_id' is missing"),
        (put("heads", "ctc", "blank_id", value=99), "outside the vocabulary"),
        (put("heads", "ctc", "vocabulary", 1, value="A"), "a token twice"),
        (put("heads", "ctc", "vocabulary", 1, value=7), "'vocabulary' must hold strings only"),
        (put("heads", "classification", "labels", 0, value=0), "'labels' must hold strings only"),
        (put("heads", "classification", "labels", value=[]), "labels must be non-empty and unique, got []"),
    ],
)
def test_contradictions_are_refused(text, change, reason):
    message = refusal(changed(text, change))
    assert reason in message
    assert message.endswith("export the bundle again")


@pytest.mark.parametrize("name", ["../secret", "onnx/../../secret", "/etc/passwd", "onnx\\model.onnx"])
def test_a_file_name_that_points_outside_the_bundle_is_refused(text, name):
    record = {"sha256": "0" * 64, "size_bytes": 1}
    message = refusal(changed(text, lambda document: document["files"].update({name: record})))
    assert message == f"the file name {name!r} points outside the bundle; export the bundle again"
