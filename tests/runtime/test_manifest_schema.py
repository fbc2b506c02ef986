"""`docs/bundle.schema.json` describes the manifest completely: no key more, no key less."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.manifest_schema import SCHEMA, VALIDATOR

SHIPPED = json.loads((Path(__file__).parents[2] / "models/words/manifest.json").read_text(encoding="utf-8"))
OBJECTS = {
    "the manifest": (),
    "the CTC head": ("heads", "ctc"),
    "the classification head": ("heads", "classification"),
    "a variant": ("variants", "int8"),
    "a file": ("files", "vocab.json"),
}
OPTIONAL = {"target", "word_times", "trims_silence", "longest_clip_s", "confidence_temperature", "decoder"}


def part(document, path):
    for step in path:
        document = document[step]
    return document


REMOVABLE = [(name, key) for name, path in OBJECTS.items() for key in part(SHIPPED, path) if key not in OPTIONAL]


def described(schema):
    """Every property of the schema, with its name."""
    for name, each in schema.get("properties", {}).items():
        yield name, each
        yield from described(each)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from described(schema["additionalProperties"])


def test_the_schema_is_valid_and_explains_every_key():
    Draft202012Validator.check_schema(SCHEMA)
    assert [name for name, each in described(SCHEMA) if not each.get("description")] == []


def test_the_manifests_of_the_shipped_and_of_the_tests_bundle_match(bundle):
    assert list(VALIDATOR.iter_errors(SHIPPED)) == []
    assert list(VALIDATOR.iter_errors(json.loads((bundle / "manifest.json").read_text()))) == []


@pytest.mark.parametrize(("name", "key"), REMOVABLE)
def test_a_manifest_without_a_key_is_invalid(name, key):
    document = copy.deepcopy(SHIPPED)
    del part(document, OBJECTS[name])[key]
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_manifest_with_another_key_is_invalid(name):
    document = copy.deepcopy(SHIPPED)
    part(document, OBJECTS[name])["surprise"] = 1
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize("path", ["../secret", "onnx/../../secret", "/etc/passwd", "onnx\\model.onnx", ".."])
def test_a_file_outside_the_bundle_is_invalid(path):
    document = copy.deepcopy(SHIPPED)
    document["files"][path] = {"sha256": "0" * 64, "size_bytes": 1}
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("key", "value"), [("sample_rate_hz", 8000), ("certified_up_to_s", 0), ("conv_strides", [0]), ("heads", {})]
)
def test_an_impossible_value_is_invalid(key, value):
    assert not VALIDATOR.is_valid({**SHIPPED, key: value})
