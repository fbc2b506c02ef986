"""Checkpoints of every supported kind, tiny and with seeded random weights: they show parity, never accuracy."""

import json

import torch
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioForCTC,
    HubertConfig,
    HubertForCTC,
    HubertForSequenceClassification,
    SeamlessM4TFeatureExtractor,
    SEWConfig,
    SEWDConfig,
    SEWDForCTC,
    SEWForCTC,
    UniSpeechConfig,
    UniSpeechForCTC,
    UniSpeechSatConfig,
    UniSpeechSatForCTC,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForAudioFrameClassification,
    Wav2Vec2ForCTC,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2ForXVector,
    WavLMConfig,
    WavLMForAudioFrameClassification,
    WavLMForCTC,
    WavLMForSequenceClassification,
    WavLMForXVector,
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
SQUEEZED = {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2), "squeeze_factor": 2}

KINDS = {
    "joint": (Wav2Vec2ForJointCTC, Wav2Vec2Config, LAYER_NORM),
    "ctc": (Wav2Vec2ForCTC, Wav2Vec2Config, LAYER_NORM),
    "group-norm ctc": (Wav2Vec2ForCTC, Wav2Vec2Config, {}),
    "classification": (Wav2Vec2ForSequenceClassification, Wav2Vec2Config, {}),
    "hubert ctc": (HubertForCTC, HubertConfig, {}),
    "hubert classification": (HubertForSequenceClassification, HubertConfig, LAYER_NORM),
    "adapter ctc": (Wav2Vec2ForCTC, Wav2Vec2Config, {**LAYER_NORM, "add_adapter": True, "output_hidden_size": 40}),
    "wavlm ctc": (WavLMForCTC, WavLMConfig, {}),
    "wavlm classification": (
        WavLMForSequenceClassification,
        WavLMConfig,
        {**LAYER_NORM, "use_weighted_layer_sum": True},
    ),
    "data2vec ctc": (
        Data2VecAudioForCTC,
        Data2VecAudioConfig,
        {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 7},
    ),
    "unispeech ctc": (UniSpeechForCTC, UniSpeechConfig, LAYER_NORM),
    "unispeech-sat ctc": (UniSpeechSatForCTC, UniSpeechSatConfig, {}),
    "sew ctc": (SEWForCTC, SEWConfig, SQUEEZED),
    "sew-d ctc": (SEWDForCTC, SEWDConfig, {**SQUEEZED, "position_buckets": 8, "max_position_embeddings": 32}),
    "conformer ctc": (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig, {"position_embeddings_type": "relative"}),
    "rotary ctc": (Wav2Vec2ConformerForCTC, Wav2Vec2ConformerConfig, {"position_embeddings_type": "rotary"}),
    "bert ctc": (Wav2Vec2BertForCTC, Wav2Vec2BertConfig, {"left_max_position_embeddings": 20}),
    "bert adapter ctc": (Wav2Vec2BertForCTC, Wav2Vec2BertConfig, {"add_adapter": True, "output_hidden_size": 40}),
}


TIME_DELAY = {"tdnn_dim": (32, 32, 32, 32, 48), "xvector_output_dim": 24}
OTHER_HEADS = {
    "frame labels": (Wav2Vec2ForAudioFrameClassification, Wav2Vec2Config, {}),
    "exclusive frame labels": (
        WavLMForAudioFrameClassification,
        WavLMConfig,
        {**LAYER_NORM, "use_weighted_layer_sum": True, "problem_type": "single_label_classification"},
    ),
    "x-vector": (Wav2Vec2ForXVector, Wav2Vec2Config, TIME_DELAY),
    "wavlm x-vector": (WavLMForXVector, WavLMConfig, {**TIME_DELAY, "use_weighted_layer_sum": True}),
}
"""Heads that neither transcribe nor classify whole clips."""

ALONE = ("adapter ctc", "data2vec ctc", "sew ctc", "sew-d ctc", "conformer ctc", "rotary ctc", "bert adapter ctc")
"""Kinds whose padding would be heard in a batch."""
NO_GPU_RULES = ("wavlm ctc", "wavlm classification", "bert ctc")
"""Kinds that no rule for GPUs knows."""


def save_checkpoint(folder, kind, **changes):
    """Write a checkpoint of one kind as transformers writes it, and give its folder."""
    model_class, config_class, norm = {**KINDS, **OTHER_HEADS}[kind]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SHAPE, **norm, **changes})).eval()
    sharpen(model)
    model.save_pretrained(folder)
    layer_norm = norm.get("feat_extract_norm") == "layer"
    if model.main_input_name == "input_features":
        SeamlessM4TFeatureExtractor().save_pretrained(folder)
    else:
        Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=layer_norm).save_pretrained(folder)
    if "classification" not in kind and kind not in OTHER_HEADS:
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
            if name.startswith(("lm_head", "classifier", "projector", "tdnn", "feature_extractor")):
                parameter.mul_(20)
