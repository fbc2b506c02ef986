"""The road at full size without a checkpoint: XLSR-53's shape with seeded random weights.

    python -m benchmarks.xlsr_shape --output build/xlsr --result benchmarks/results/xlsr53-shape.json

Random weights prove size, speed and logit error, never accuracy, and the record says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import Wav2Vec2Config

from benchmarks.road import Road, bundle_facts
from wav2edge_train.model import Wav2Vec2ForJointCTC
from wav2edge_train.vocabulary import Vocabulary, make_feature_extractor, save_processor

XLSR_53 = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "apply_spec_augment": False,
}
"""Where facebook/wav2vec2-large-xlsr-53 differs from the defaults of ``Wav2Vec2Config``."""

LABELS = ("0", "1", "2", "3")


def write_random_checkpoint(folder: Path) -> None:
    """A joint checkpoint of XLSR-53's shape: 315 million parameters, seed 0."""
    vocabulary = Vocabulary(tokens=("|", *"abcdefghijklmnopqrstuvwxyz", "[UNK]", "[PAD]"))
    config = Wav2Vec2Config(
        **XLSR_53,
        vocab_size=len(vocabulary.tokens),
        pad_token_id=vocabulary.blank_id,
        bos_token_id=None,
        eos_token_id=None,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    torch.manual_seed(0)
    Wav2Vec2ForJointCTC(config).save_pretrained(folder)
    save_processor(folder, make_feature_extractor(layer_norm=True), vocabulary)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, export, measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoint and bundle go")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    checkpoint, bundle = options.output / "checkpoint", options.output / "bundle"
    write_random_checkpoint(checkpoint)
    road = Road()
    road.run("export", checkpoint, "--output", bundle, "--precision", "int8,fp32")
    latency = road.report("bench", bundle, "--runs", "10", "--json")
    record = {
        "what": "XLSR-53's shape with seeded random weights: size, speed and logit error, never accuracy",
        **bundle_facts(bundle),
        "bench": latency,
    }
    road.write(options.result, record)


if __name__ == "__main__":
    main()
