"""A grammar of the words of a data set: its WER compared with greedy decoding, and the clips that it rejects.

    python -m benchmarks.records.accuracy.closed_grammar BUNDLE DATA --outside OTHER \
        --result benchmarks/results/grammar-words.json

The phrases are the transcripts of DATA. The threshold of rejection is the fit that 2 % of the validation clips fall
below; it is applied to the test clips, and to every clip of OTHER, whose transcripts must not be in the grammar.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge import Engine, load
from wav2edge.audio.clip import load_clip
from wav2edge.bundle.heads import CtcHead
from wav2edge.decoding.ctc import join_words
from wav2edge.decoding.grammar import Grammar
from wav2edge.decoding.hypothesis import Decoder, Greedy
from wav2edge.errors import DataError
from wav2edge.evaluation.dataset import Utterance, read_dataset, select_split
from wav2edge.evaluation.rates import count_word_errors, paired_rate, share_interval

FALSE_REJECTION = 0.02


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--outside", type=Path, required=True, metavar="OTHER", help="clips of other words")
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    options = parser.parse_args(arguments)

    rows = read_dataset(options.data)
    grammar = Grammar(sorted({row.transcription for row in rows if row.transcription}))
    engine = load(options.bundle)
    record = measure(engine, grammar, rows, read_dataset(options.outside))
    command = "python -m benchmarks.records.accuracy.closed_grammar BUNDLE DATA --outside OTHER --result FILE"
    CommandRecorder().write(options.result, {"command": command, **record})


def measure(
    engine: Engine, grammar: Grammar, rows: Sequence[Utterance], outside: Sequence[Utterance]
) -> dict[str, Any]:
    """Word error rates on the test split, and shares of rejected clips."""
    if engine.heads.ctc is None:
        raise DataError(f"{engine} has no CTC head; a grammar needs one")
    if known := sorted({row.transcription or "" for row in outside} & set(grammar.phrases)):
        raise DataError(f"{outside[0].where}: {known[0]!r} is in the grammar; give clips of other words")
    head, test = engine.heads.ctc, select_split(rows, "test")
    logits = _logits(engine, test)
    fits = {
        "test": [grammar.fit(each, head) for each in logits],
        "validation": [grammar.fit(each, head) for each in _logits(engine, select_split(rows, "validation"))],
        "outside": [grammar.fit(each, head) for each in _logits(engine, outside)],
    }
    references = [row.transcription or "" for row in test]
    return {
        "what": "a closed grammar compared with greedy decoding; intervals at 95 %",
        "phrases": list(grammar.phrases),
        "word_errors": _word_errors(references, [_texts(each, logits, head) for each in (Greedy(), grammar)]),
        "rejection": _rejection(fits),
    }


def _logits(engine: Engine, rows: Sequence[Utterance]) -> list[np.ndarray]:
    assert engine.heads.ctc is not None
    output = engine.heads.ctc.output
    return [np.array(engine.outputs(load_clip(row.path).samples)[output]) for row in rows]


def _texts(decoder: Decoder, logits: Sequence[np.ndarray], head: CtcHead) -> list[str]:
    tokens = [decoder.decode(each, head)[0].tokens for each in logits]
    return [" ".join(word.text for word in join_words(each, head, 1.0)) for each in tokens]


def _word_errors(references: Sequence[str], answers: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The rates of greedy decoding and of the grammar, their ratio, and the interval of their difference."""
    edits = [
        [count_word_errors([r], [text]).edits for r, text in zip(references, each, strict=True)] for each in answers
    ]
    rate = paired_rate(np.array(edits).T, [len(reference.split()) for reference in references])
    if rate is None:
        raise DataError("no clip in the test split; give a data set with one")
    ratio = rate.variant / rate.original if rate.original else None
    return {
        "greedy": rate.original,
        "grammar": rate.variant,
        "difference_interval": list(rate.interval),
        "grammar_over_greedy": ratio,
        "clips": len(references),
    }


def _rejection(fits: dict[str, list[float]]) -> dict[str, Any]:
    """Shares of clips below the threshold of the validation clips, and below that of the test clips themselves."""
    outside, found = np.array(fits["outside"]), {}
    for split in ("validation", "test"):
        threshold = float(np.quantile(fits[split], FALSE_REJECTION, method="lower"))
        rejected = int((outside < threshold).sum())
        wrongly = int((np.array(fits["test"]) < threshold).sum())
        found[f"threshold_of_{split}"] = {
            "fit": threshold,
            "outside_rejected": rejected / len(outside),
            "outside_rejected_interval": list(share_interval(rejected, len(outside))),
            "test_rejected": wrongly / len(fits["test"]),
        }
    return {"false_rejection": FALSE_REJECTION, "outside_clips": len(outside), **found}


if __name__ == "__main__":
    main()
