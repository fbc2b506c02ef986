"""A tiny checkpoint in the form of MMS: an adapter and a vocabulary per language, seeded random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from tests.export.tiny_checkpoints import LAYER_NORM, SHAPE, sharpen

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
LETTERS = {"eng": ("a", "b", "c", "d"), "swh": ("a", "k", "p", "t", "u"), "tur-script_latin": ("ğ", "ş", "ç")}
VOCABULARIES = {language: (*SPECIAL, *letters) for language, letters in LETTERS.items()}
OF_THE_WEIGHTS, AS_BIN = "eng", "tur-script_latin"


def save_in_many_languages(folder: Path) -> Path:
    folder.mkdir()
    ids = {language: {token: i for i, token in enumerate(tokens)} for language, tokens in VOCABULARIES.items()}
    (folder / "vocab.json").write_text(json.dumps(ids))
    torch.manual_seed(0)
    width = len(VOCABULARIES[OF_THE_WEIGHTS])
    shape = {**SHAPE, **LAYER_NORM, "adapter_attn_dim": 8, "vocab_size": width, "pad_token_id": 0}
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**shape)).eval()
    sharpen(model)
    model.save_pretrained(folder)
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), target_lang=OF_THE_WEIGHTS)
    for part in (tokenizer, Wav2Vec2FeatureExtractor(return_attention_mask=True)):
        part.save_pretrained(folder)
    for language, tokens in VOCABULARIES.items():
        weights = {name: _other(name, value) for name, value in model._get_adapters().items()}
        weights["lm_head.weight"] = torch.randn(len(tokens), SHAPE["hidden_size"])
        weights["lm_head.bias"] = torch.randn(len(tokens))
        if language == AS_BIN:
            torch.save(weights, folder / f"adapter.{language}.bin")
        else:
            save_file(weights, folder / f"adapter.{language}.safetensors")
    return folder


def _other(name: str, value: torch.Tensor) -> torch.Tensor:
    """Random weights in the place of an adapter's, spread so that languages differ."""
    return torch.randn_like(value) * 0.3 + (1.0 if name.endswith("norm.weight") else 0.0)
