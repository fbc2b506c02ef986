"""Checkpoints of every supported kind, tiny and with seeded random weights: they show parity, never accuracy."""

import json

import torch
from transformers import (
    HubertConfig,
    HubertForCTC,
    HubertForSequenceClassification,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
)

from wav2edge_train.model.joint_model import Wav2Vec2ForJointCTC

VOCABULARY = ("|", "a", "k", "p", "t", "[UNK]", "[PAD]")
LABELS = ("0", "1", "2", "3")
SHAPE = {
    "conv_dim": (16, 16, 32, 32, 32, 32, 32),
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": len(VOCABULARY),
    "pad_token_id": len(VOCABULARY) - 1,
    "bos_token_id": None,
    "eos_token_id": None,
    "num_labels": len(LABELS),
    "id2label": dict(enumerate(LABELS)),
    "classifier_proj_size": 24,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}

KINDS = {
    "joint": (Wav2Vec2ForJointCTC, Wav2Vec2Config, LAYER_NORM),
    "ctc": (Wav2Vec2ForCTC, Wav2Vec2Config, LAYER_NORM),
    "group-norm ctc": (Wav2Vec2ForCTC, Wav2Vec2Config, {}),
    "classification": (Wav2Vec2ForSequenceClassification, Wav2Vec2Config, {}),
    "hubert ctc": (HubertForCTC, HubertConfig, {}),
    "hubert classification": (HubertForSequenceClassification, HubertConfig, LAYER_NORM),
}


def save_checkpoint(folder, kind, **changes):
    """Write a checkpoint of one kind as transformers writes it, and give its folder."""
    model_class, config_class, norm = KINDS[kind]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SHAPE, **norm, **changes})).eval()
    sharpen(model)
    model.save_pretrained(folder)
    layer_norm = norm.get("feat_extract_norm") == "layer"
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=layer_norm).save_pretrained(folder)
    if "classification" not in kind:
        vocabulary = folder / "vocab.json"
        vocabulary.write_text(json.dumps({token: i for i, token in enumerate(VOCABULARY)}))
        Wav2Vec2CTCTokenizer(
            str(vocabulary), unk_token="[UNK]", pad_token="[PAD]", bos_token=None, eos_token=None
        ).save_pretrained(folder)
    return folder


def sharpen(model):
    """Spread the random weights, so that outputs differ between frames and clips as those of a trained model do."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("lm_head", "classifier", "projector")):
                parameter.mul_(20)
