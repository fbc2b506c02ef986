from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import Wav2Vec2Processor

from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge_train.data.corpus import choose_targets
from wav2edge_train.data.vocabulary import build_vocabulary, make_feature_extractor, save_processor
from wav2edge_train.training_options import TrainingOptions


def row(transcription: str, split: str = "train") -> Utterance:
    return Utterance(path=Path("x.wav"), where="metadata.csv:2", transcription=transcription, split=split)


def test_characters_are_sorted_between_the_delimiter_and_unknown_and_blank() -> None:
    vocabulary = build_vocabulary([row("zu ma"), row("ö 'n")])
    assert vocabulary.tokens == ("|", "'", "a", "m", "n", "u", "z", "ö", "[UNK]", "[PAD]")
    assert vocabulary.blank_id == 9


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = [row("pa ta"), row("ka"), row("xyz")]
    assert build_vocabulary(rows) == build_vocabulary(rows[::-1])


def test_vocabulary_and_labels_come_from_the_training_split_alone(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(
        "file_name,transcription,label,split\n1.wav,ab,x,train\n2.wav,q,hidden,validation\n3.wav,z,w,test\n",
        encoding="utf-8",
    )
    training = select_split(read_dataset(tmp_path), "train")
    targets = choose_targets(training, TrainingOptions())
    assert targets.vocabulary is not None
    assert targets.vocabulary.tokens == ("|", "a", "b", "[UNK]", "[PAD]")
    assert targets.labels == ("x",)


def test_a_transcription_with_the_delimiter_in_it_is_refused() -> None:
    with pytest.raises(DataError, match=r"metadata\.csv:2: the transcription holds '\|'"):
        build_vocabulary([row("a|b")])


def test_the_tokenizer_of_transformers_reads_the_files_and_agrees(tmp_path: Path) -> None:
    vocabulary = build_vocabulary([row("shu zi"), row("bei jing")])
    save_processor(tmp_path, make_feature_extractor(layer_norm=True), vocabulary)
    tokenizer = Wav2Vec2Processor.from_pretrained(tmp_path).tokenizer
    assert len(tokenizer) == len(vocabulary.tokens)
    assert json.loads((tmp_path / "vocab.json").read_text())["[PAD]"] == tokenizer.pad_token_id == vocabulary.blank_id
    for text in ("shu zi", "jing jing", "unheard of"):
        assert vocabulary.encode(text) == tokenizer(text).input_ids


@pytest.mark.parametrize("layer_norm", [True, False])
def test_only_layer_norm_models_ask_for_the_mask(tmp_path: Path, *, layer_norm: bool) -> None:
    save_processor(tmp_path, make_feature_extractor(layer_norm=layer_norm), build_vocabulary([row("a")]))
    extractor = Wav2Vec2Processor.from_pretrained(tmp_path).feature_extractor
    found = extractor([np.ones(500, np.float32), np.ones(400, np.float32)], sampling_rate=16_000, padding=True)
    assert ("attention_mask" in found) is layer_norm
    assert extractor.do_normalize


SCRIPTS = {
    "capital letters": "Ab aB",
    "right to left": "שלום עולם",
    "right to left, joined": "السلام عليكم",
    "composed accents": "é ü ñ",
    "accents that nothing composes": "x\u030c q\u0301",
    "no spaces": "北京上海",
    "vowel signs": "नमस्ते दुनिया",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_is_encoded_and_decoded_unchanged(tmp_path: Path, text: str) -> None:
    vocabulary = build_vocabulary([row(text)])
    save_processor(tmp_path, make_feature_extractor(layer_norm=True), vocabulary)
    tokenizer = Wav2Vec2Processor.from_pretrained(tmp_path).tokenizer
    ids = vocabulary.encode(text)
    assert "[UNK]" not in [vocabulary.tokens[i] for i in ids]
    assert ids == tokenizer(text).input_ids
    assert vocabulary.decode(ids) == text
    assert tokenizer.decode(ids, group_tokens=False) == text


def test_an_accent_written_in_two_ways_is_one_token(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "1.wav", "transcription": "e\\u0301", "split": "train"}\n'
        '{"file_name": "2.wav", "transcription": "\\u00e9", "split": "train"}\n',
        encoding="utf-8",
    )
    assert build_vocabulary(read_dataset(tmp_path)).tokens == ("|", "é", "[UNK]", "[PAD]")


def test_unknown_tokens_and_blanks_are_not_written_out() -> None:
    vocabulary = build_vocabulary([row("ab c")])
    assert vocabulary.decode([*vocabulary.encode("ab c"), 4, 5]) == "ab c"
    assert vocabulary.decode([0, 1, 0, 0, 2, 0]) == "a b"
