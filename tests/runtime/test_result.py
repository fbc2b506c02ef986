from __future__ import annotations

import dataclasses
import json

import pytest

from wav2edge import Result, Word

WORD = Word(text="ba", start_s=0.123456, end_s=0.2, confidence=0.98765432)


def test_the_label_is_the_most_probable_one():
    assert Result(duration_s=1.0, scores={"a": 0.2, "b": 0.7, "c": 0.1}).label == "b"


def test_a_model_without_classes_has_no_label():
    assert Result(duration_s=1.0, text="").label is None


def test_heads_a_model_does_not_have_are_left_out_of_the_dictionary():
    assert set(Result(duration_s=1.0).to_dict()) == {"duration_s", "confidence", "warnings"}


def test_the_dictionary_of_a_joint_model_is_ready_for_json():
    result = Result(duration_s=1.0, text="ba", words=(WORD,), scores={"0": 1.0}, warnings=("clipped",))
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == {
        "duration_s": 1.0,
        "confidence": 1.0,
        "text": "ba",
        "words": [{"text": "ba", "start_s": 0.1235, "end_s": 0.2, "confidence": 0.987654}],
        "label": "0",
        "scores": {"0": 1.0},
        "warnings": ["clipped"],
    }


def test_a_result_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Result(duration_s=1.0).text = "x"
