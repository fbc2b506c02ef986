"""The model under ``models/words``: trained on real speakers and synthetic voices, evaluated on unseen ones of both.

    python -m benchmarks.records.accuracy.shipped_model DATA --output build/shipped \
        --result benchmarks/results/shipped-words.json

DATA is the data set of ``benchmarks.records.accuracy.words``. Its words are those of ``WORDS`` below; the label is the
tone of the last syllable, 0 to 3 for the first to the fourth. The same words spoken by espeak-ng are trained on with
them, so that the model also recognises clips that anybody can make, and so that it learns when words begin: espeak-ng
tells, and the real clips follow. With
``--publish models`` the bundle becomes ``models/words``, and one clip of each word, each by a different unseen voice,
``models/clips``: clips to try the model on.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.records.command_recorder import CommandRecorder
from wav2edge.evaluation.dataset import read_dataset
from wav2edge.output.progress import track
from wav2edge_export.demo.acoustics import Samples
from wav2edge_export.demo.espeak import Phoneme, Synthesizer
from wav2edge_export.demo.speech_corpus import RATE_HZ, add_background, written_starts

WORDS = {
    "北京": ("bei jing", "0"),
    "背景": ("bei jing", "2"),
    "饭店": ("fan dian", "3"),
    "复旦": ("fu dan", "3"),
    "上海": ("shang hai", "2"),
    "商行": ("shang hang", "1"),
    "识别": ("shi bie", "1"),
    "数字": ("shu zi", "3"),
    "语言": ("yu yan", "1"),
    "语音": ("yu yin", "0"),
    "中国": ("zhong guo", "1"),
    "总公": ("zong gong", "0"),
}
"""Word -> its transcription and label."""
LANGUAGE = "cmn"
VOWELS = "aeiouyAEIOUV@3"
"""First letters of espeak-ng's mnemonics of vowels."""
RATE_WPM_LIMITS, PITCH_LIMITS, PITCH_RANGE_LIMITS = (100, 180), (35, 70), (35, 70)
NAME = "wav2edge-words"
"""Name of the model, and of its checkpoint's folder."""
UNSEEN_SHARE = 0.2
"""Share of the voices that occur only in the split ``spoken``."""
SPOKEN = "spoken"
EVALUATED_ON = ("test", SPOKEN)
TRAINING = ("--preset", "small")
TARGET = "avx2"
"""7-bit weights are exact on every processor, and as fast as 8-bit weights where those are exact."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the manifest."""

    audio_filepath: str
    text: str
    label: str
    speaker: str
    split: str
    word_starts_s: str | None = None
    """When each word begins to sound, where that is known: in synthetic speech."""

    def line(self) -> str:
        """The row as JSON."""
        known = {name: value for name, value in self.__dict__.items() if value is not None}
        return json.dumps(known, ensure_ascii=False)


def real_rows(data: Path) -> Iterator[Row]:
    """The clips of real speakers, with their splits."""
    for row in read_dataset(data):
        yield Row(
            audio_filepath=str(row.path.resolve()),
            text=row.transcription or "",
            label=row.label or "",
            speaker=row.speaker or "",
            split=row.split or "",
        )


def spoken_rows(folder: Path, *, seed: int = 0) -> Iterator[Row]:
    """Speak every word with every voice, and write the clips; the same seed gives the same clips."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with Synthesizer() as synthesizer:
        voices = synthesizer.voices()
        unseen = set(rng.permutation(voices)[: max(1, round(UNSEEN_SHARE * len(voices)))].tolist())
        for voice in track(voices, "speaking", len(voices)):
            for number, (word, (text, label)) in enumerate(WORDS.items()):
                path = folder / f"{voice.replace(' ', '-')}-{number:02d}.flac"
                samples, starts = synthesize(word, voice, synthesizer, rng)
                soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
                yield Row(
                    audio_filepath=str(path.resolve()),
                    text=text,
                    label=label,
                    speaker=voice,
                    split=SPOKEN if voice in unseen else "train",
                    word_starts_s=starts,
                )


def synthesize(word: str, voice: str, synthesizer: Synthesizer, rng: np.random.Generator) -> tuple[Samples, str]:
    """One word at a random rate and pitch, with silence around it and noise, and when its syllables start.

    Returns:
        ``[samples] float32`` at 16 kHz, and the starts in seconds, apart by spaces.
    """
    rate_wpm, pitch, pitch_range = (
        int(rng.integers(*limits)) for limits in (RATE_WPM_LIMITS, PITCH_LIMITS, PITCH_RANGE_LIMITS)
    )
    spoken = synthesizer.speak_text(
        word, language=LANGUAGE, voice=voice, rate_wpm=rate_wpm, pitch=pitch, pitch_range=pitch_range
    )
    clip, delay_s = add_background(soxr.resample(spoken.samples, spoken.rate_hz, RATE_HZ), rng)
    return clip.astype(np.float32), written_starts(delay_s + start_s for start_s in syllable_starts_s(spoken.phonemes))


def syllable_starts_s(phonemes: Sequence[Phoneme]) -> Iterator[float]:
    """When each Mandarin syllable begins: at the consonant before its vowel. espeak-ng takes some pairs for one word.

    Every syllable of ``WORDS`` is spoken as one consonant, one vowel or diphthong, and maybe a nasal.
    """
    for onset, rime in pairwise(phonemes):
        if rime.name.lstrip("',")[0] in VOWELS:
            yield onset.start_s


def publish(bundle: Path, rows: Sequence[Row], folder: Path) -> None:
    """Copy the bundle, and one clip of each word by unseen voices."""
    shutil.rmtree(folder / bundle.name, ignore_errors=True)
    shutil.copytree(bundle, folder / bundle.name)
    clips = folder / "clips"
    shutil.rmtree(clips, ignore_errors=True)
    clips.mkdir()
    unseen = [row for row in rows if row.split == SPOKEN]
    voices = cycle(dict.fromkeys(row.speaker for row in unseen))
    with (clips / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file_name", "transcription", "label", "speaker", "split", "word_starts_s"))
        for spoken, voice in zip(WORDS.values(), voices, strict=False):
            row = next(each for each in unseen if (each.text, each.label) == spoken and each.speaker == voice)
            name = f"{row.text.replace(' ', '-')}-{row.label}.flac"
            shutil.copyfile(row.audio_filepath, clips / name)
            table.writerow((name, row.text, row.label, row.speaker, "test", row.word_starts_s))


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesise, train, export, evaluate, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for clips, checkpoint and bundle"
    )
    parser.add_argument("--result", type=Path, required=True, metavar="FILE", help="the record to write")
    parser.add_argument("--publish", type=Path, metavar="DIR", help="folder to copy bundle and clips to")
    options = parser.parse_args(arguments)

    checkpoint, bundle, manifest = (options.output / name for name in (NAME, "words", "manifest.jsonl"))
    rows = [*real_rows(options.data), *spoken_rows(options.output / "spoken")]
    manifest.write_text("".join(f"{row.line()}\n" for row in rows), encoding="utf-8")
    recorder = CommandRecorder({options.data: "DATA", options.output: "OUTPUT", manifest: "MANIFEST"})
    training = recorder.train_once("train", manifest, *TRAINING, checkpoint=checkpoint)
    recorder.run(
        "export", checkpoint, "--output", bundle, "--precision", "int8", "--target", TARGET,
        "--data", manifest, "--split", "test",
    )  # fmt: skip
    record = {
        "what": "the shipped model on unseen speakers (test) and unseen synthetic voices (spoken)",
        "clips": dict(Counter(row.split for row in rows)),
        "training": training,
        "reports": {
            name: {
                split: recorder.report("evaluate", model, manifest, "--split", split, "--json")
                for split in EVALUATED_ON
            }
            for name, model in (("pytorch", checkpoint), ("int8", bundle))
        },
        "bundle_bytes": sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()),
        "certificate": json.loads((bundle / "certificate.json").read_text(encoding="utf-8"))["variants"]["int8"],
    }
    recorder.write(options.result, record)
    if options.publish is not None:
        publish(bundle, rows, options.publish)


if __name__ == "__main__":
    main()
