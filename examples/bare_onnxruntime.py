"""Run a bundle with onnxruntime and numpy alone: all that another language has to do as well.

python examples/bare_onnxruntime.py models/words models/clips/fu-dan-3.flac
"""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

TIGHT = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def recognize(bundle: Path, samples: np.ndarray) -> tuple[str | None, str | None]:
    """Transcript and label of ``samples: [samples] float32`` at 16 kHz; None for a head the model does not have."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    variant = manifest["variants"][manifest["default_variant"]]
    session = onnxruntime.InferenceSession(str(bundle / variant["file"]), providers=["CPUExecutionProvider"])
    inputs = {"input_values": samples[None]}  # [1, samples]; the graph normalises the waveform itself
    if variant["batched"]:
        inputs["attention_mask"] = np.ones((1, len(samples)), np.int64)
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    heads = manifest["heads"]
    text = transcript(outputs[heads["ctc"]["output"]][0], heads["ctc"]) if "ctc" in heads else None
    label = None
    if "classification" in heads:
        scores = outputs[heads["classification"]["output"]][0]  # [classes]
        label = heads["classification"]["labels"][int(scores.argmax())]
    return text, label


def transcript(logits: np.ndarray, head: dict) -> str:
    """Greedy CTC over ``logits: [frames, vocabulary]``: best token per frame, repeats joined, blanks dropped."""
    dropped = {head["blank_id"], *head["silent_ids"]}
    tokens = [head["vocabulary"][token] for token, _ in groupby(logits.argmax(axis=-1)) if int(token) not in dropped]
    written = [head.get("delimiter_text", " ") if token == head["word_delimiter"] else token for token in tokens]
    text = head.get("token_separator", "").join(written).strip()
    text = text.lower() if head["lower_case"] else text
    for tight in TIGHT if head.get("clean_up_spaces") else ():
        text = text.replace(tight, tight.replace(" ", ""))
    return " ".join(text.split())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/bare_onnxruntime.py BUNDLE CLIP")
    folder, clip = sys.argv[1:]
    audio, rate_hz = soundfile.read(clip, dtype="float32")
    if rate_hz != 16_000 or audio.ndim != 1:
        sys.exit(f"{clip}: {rate_hz} Hz, {audio.ndim} axes; convert it to 16 kHz mono first")
    print(*recognize(Path(folder), audio), sep="\t")
