from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import soundfile

import wav2edge
from tests.runtime.test_segmentation import joined, silence, speech
from wav2edge.audio.clip import load_clip, open_recording
from wav2edge.audio.segmentation import Segmentation, Span
from wav2edge.bundle.heads import CtcHead
from wav2edge.errors import AudioError
from wav2edge.inference.recordings import frames_of_spans, recognise_spans
from wav2edge.output.result import Result, Segment, Word

RATE_HZ = 16_000
HEAD = CtcHead(output="logits", vocabulary=("_", "|", "a", "b", "c"), blank_id=0)
HOP = 320


@pytest.fixture
def recording() -> np.ndarray:
    samples, _ = joined(snr_db=30.0)
    return samples


def test_a_long_recording_is_answered_segment_by_segment_as_its_spans_are_alone(engine, recording):
    result = engine(recording, rate_hz=RATE_HZ, segments=True)
    assert len(result.segments) == 5
    for segment in result.segments:
        start, end = round(segment.start_s * RATE_HZ), round(segment.end_s * RATE_HZ)
        alone = engine(recording[start:end], rate_hz=RATE_HZ, segments=False)
        assert (segment.text, segment.scores) == (alone.text, pytest.approx(alone.scores))
        assert [word.text for word in segment.words] == [word.text for word in alone.words]
        assert [word.start_s - segment.start_s for word in segment.words] == pytest.approx(
            [word.start_s for word in alone.words]
        )


def test_what_is_longer_than_the_model_is_comfortable_with_is_segmented_by_itself(engine, recording, monkeypatch):
    monkeypatch.setattr(engine, "longest_clip_s", 2.5, raising=False)
    assert engine(recording, rate_hz=RATE_HZ).segments is not None
    assert engine(recording[: 2 * RATE_HZ], rate_hz=RATE_HZ).segments is None
    assert engine(recording[: 2 * RATE_HZ], rate_hz=RATE_HZ, segments=True).segments is not None


def test_a_whole_clip_far_longer_than_any_in_training_gets_a_warning(engine, recording, monkeypatch):
    monkeypatch.setattr(engine, "longest_clip_s", 2.5, raising=False)
    (warning,) = engine(recording, rate_hz=RATE_HZ, segments=False).warnings
    assert "was trained on clips of up to 2.5 s; answer it in segments" in warning


def test_segments_are_given_while_the_recording_goes_on(engine, recording):
    taken = []
    result = engine(recording, rate_hz=RATE_HZ, segments=True, on_segment=taken.append)
    assert tuple(taken) == result.segments == tuple(engine.segments(recording, rate_hz=RATE_HZ))


def test_a_recording_without_speech_has_no_segments_and_says_so(engine):
    hiss = 1e-3 * np.random.default_rng(0).standard_normal(5 * RATE_HZ)
    result = engine(hiss, rate_hz=RATE_HZ, segments=True)
    assert (result.text, result.segments) == ("", ())
    assert result.warnings == ("no speech found",)


def test_map_answers_recordings_as_a_call_does(engine, recording):
    clip = recording[: 2 * RATE_HZ]
    results = list(engine.map([recording, clip], rate_hz=RATE_HZ, segments=True, workers=2))
    assert results == [engine(each, rate_hz=RATE_HZ, segments=True) for each in (recording, clip)]


def test_the_result_of_segments_joins_their_texts_and_weighs_their_scores():
    words = (Word(text="a", start_s=0.0, end_s=0.1, confidence=0.9),)
    first = Segment(start_s=0.0, end_s=1.0, text="a", words=words, scores={"x": 1.0, "y": 0.0}, confidence=0.9)
    second = Segment(start_s=2.0, end_s=5.0, text="b a", words=(), scores={"x": 0.2, "y": 0.8}, confidence=0.4)
    result = Result.of_segments([first, second], duration_s=6.0)
    assert (result.text, result.words, result.label) == ("a b a", words, "y")
    assert result.scores == pytest.approx({"x": 0.4, "y": 0.6})
    assert result.confidence == pytest.approx((0.9 + 2 * 0.4) / 3)


def test_rejected_segments_stay_in_place_and_count_for_nothing_else(engine, recording, monkeypatch):
    plain = engine(recording, rate_hz=RATE_HZ, segments=True)
    surest = max(segment.confidence for segment in plain.segments)
    monkeypatch.setattr(engine, "reject_below", surest)
    result = engine(recording, rate_hz=RATE_HZ, segments=True)
    assert [each.rejected for each in result.segments] == [each.confidence < surest for each in plain.segments]
    assert {(each.text, each.words, each.label) for each in result.segments if each.rejected} == {("", (), None)}
    assert [(each.start_s, each.scores) for each in result.segments] == [
        (each.start_s, each.scores) for each in plain.segments
    ]
    assert (result.confidence, result.rejected) == (pytest.approx(surest), False)


def test_a_recording_is_rejected_where_all_its_segments_are():
    segments = [
        Segment(start_s=0.0, end_s=1.0, text="a", words=(), confidence=each).as_rejected() for each in (0.2, 0.4)
    ]
    result = Result.of_segments(segments, duration_s=2.0)
    assert (result.text, result.rejected, result.confidence) == ("", True, pytest.approx(0.3))
    assert not Result.of_segments([], duration_s=2.0).rejected


# Seams


def logits_of(path: str) -> np.ndarray:
    """Logits whose best path spells these tokens, one a frame."""
    return np.eye(5, dtype=np.float32)[[HEAD.vocabulary.index(token) for token in path]] * 9


def texts(path: str, cuts: list[tuple[int, int]]) -> list[str]:
    """The texts of overlapping pieces of a path, each given by its first frame and the frame after its last."""
    whole = logits_of(path)
    # A span of n hops and a receptive field has n + 1 frames; here each frame is given as one hop.
    spans = [
        Span(
            start=start * HOP,
            samples=np.full((end - start) * HOP, start, np.float32),
            overlap=0 if place == 0 else (cuts[place - 1][1] - start) * HOP,
        )
        for place, (start, end) in enumerate(cuts)
    ]

    def outputs(samples: np.ndarray) -> dict[str, np.ndarray]:
        start = int(samples[0])
        return {"logits": whole[start : start + len(samples) // HOP]}

    def interpret(found: dict[str, np.ndarray], duration_s: float) -> Result:
        assert duration_s == pytest.approx(len(found["logits"]) * HOP / RATE_HZ)
        ids = [key for key, _ in itertools.groupby(found["logits"].argmax(axis=-1).tolist())]
        return Result(duration_s=duration_s, text="".join(HEAD.vocabulary[i] for i in ids if i).strip("|"))

    return [
        str(segment.text)
        for segment in recognise_spans(spans, outputs=outputs, interpret=interpret, head=HEAD, hop=HOP)
    ]


def test_pieces_that_overlap_are_parted_between_words_and_every_word_is_answered_once():
    path = "_a_b_c_|_b_c_|_a_a_|_c_b_|_a_b_|_c_|_a_c_b_|_b_"
    assert "|".join(texts(path, [(0, 24), (16, 40), (30, len(path))])) == "abc|bc|aa|cb|ab|c|acb|b"


def test_where_no_two_words_meet_pieces_are_parted_at_a_blank():
    path = "_a_b_c_a_b_c_a_b_c_a_b_c_"
    assert "".join(texts(path, [(0, 14), (6, len(path))])) == "abcabcabcabc"


# Alignment


def test_a_long_recording_is_aligned_span_by_span_on_one_clock():
    model = wav2edge.load("models/words")
    clips = [load_clip(f"models/clips/{name}.flac").samples for name in ("fu-dan-3", "shang-hai-2", "yu-yan-1")]
    parts, places, position = [], [], 0
    for samples in clips:
        parts += [silence(1.0), samples]
        places.append((position / RATE_HZ + 1.0, (position + len(samples)) / RATE_HZ + 1.0))
        position += RATE_HZ + len(samples)
    found = model.align(np.concatenate([*parts, silence(0.5)]), "fu dan shang hai yu yan", rate_hz=RATE_HZ)
    assert found.duration_s == pytest.approx((position + RATE_HZ // 2) / RATE_HZ)
    for place, word in enumerate(found.words):
        start_s, end_s = places[place // 2]
        assert start_s - 0.02 <= word.start_s < word.end_s <= end_s + 0.02
        assert word.gop > 0


def test_frames_of_spans_stand_where_the_spans_do_and_silence_between_them():
    whole = logits_of("_a_b_|_c_a_")
    spans = [
        Span(start=3 * HOP, samples=np.full(5 * HOP, 0, np.float32)),
        Span(start=6 * HOP, samples=np.full(4 * HOP, 3, np.float32), overlap=2 * HOP),
        Span(start=14 * HOP, samples=np.full(3 * HOP, 7, np.float32)),
    ]
    blocks = frames_of_spans(
        spans, logits=lambda samples: whole[int(samples[0]) :][: len(samples) // HOP], head=HEAD, hop=HOP
    )
    frames = np.concatenate(list(blocks))
    assert len(frames) == 17
    assert frames[:3, :2] == pytest.approx(np.full((3, 2), np.log(0.5)))
    assert frames[3:10].argmax(axis=1).tolist() == whole[:7].argmax(axis=1).tolist()
    assert frames[10:14, :2] == pytest.approx(np.full((4, 2), np.log(0.5)))
    assert frames[14:].argmax(axis=1).tolist() == whole[7:10].argmax(axis=1).tolist()


# Reading


def test_blocks_of_a_file_are_what_it_holds_as_a_clip(tmp_path):
    samples = np.concatenate([speech(2.0), silence(0.1)])
    soundfile.write(tmp_path / "long.flac", np.stack([samples, samples], axis=1), RATE_HZ)
    with open_recording(tmp_path / "long.flac") as recording:
        blocks = np.concatenate(list(recording.blocks()))
    assert np.array_equal(blocks, load_clip(tmp_path / "long.flac").samples)


def test_a_recording_at_another_rate_is_resampled_without_a_seam(tmp_path, monkeypatch):
    time_s = np.arange(5 * 44_100) / 44_100
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 440 * time_s), 44_100, subtype="FLOAT")
    monkeypatch.setattr("wav2edge.audio.sound_file.BLOCK_FRAMES", 10_000)
    with open_recording(tmp_path / "tone.wav") as recording:
        found = np.concatenate(list(recording.blocks()))
    whole = load_clip(tmp_path / "tone.wav").samples
    assert len(found) == len(whole)
    assert np.abs(found - whole)[200:-200].max() < 1e-3


def test_what_there_is_of_a_truncated_recording_is_answered_with_a_warning(tmp_path, engine, recording):
    soundfile.write(tmp_path / "whole.wav", recording, RATE_HZ, subtype="PCM_16")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[: 2 * 4 * RATE_HZ])
    result = engine(tmp_path / "cut.wav", segments=True)
    assert len(result.segments) == 2
    assert "truncated: the file ends after 4.00 s" in result.warnings[0]


def flac(samples: np.ndarray) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE_HZ, format="FLAC")
    return content.getvalue()


def test_what_there_is_of_a_truncated_flac_recording_is_answered_with_a_warning(engine, recording):
    content = flac(recording)
    cut = engine(io.BytesIO(content[: len(content) // 2]), segments=True)
    read = round(cut.duration_s * RATE_HZ)
    assert 0.3 * len(recording) < read < 0.7 * len(recording)
    assert cut.warnings == (f"truncated: the file ends after {cut.duration_s:.2f} s with audio still promised",)
    whole = engine(io.BytesIO(flac(recording[:read])), segments=True)
    assert cut.segments == whole.segments != ()


def test_a_flac_recording_that_is_damaged_in_its_middle_is_refused(engine):
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * RATE_HZ)
    content = flac(noise)
    damaged = content[: len(content) // 4] + bytes(4_000) + content[len(content) // 4 + 4_000 :]
    with pytest.raises(AudioError, match="cannot be decoded"):
        engine(io.BytesIO(damaged), segments=True)


def blocks_of(monkeypatch, samples: np.ndarray) -> tuple[str, ...]:
    """The warnings about a recording that is read in blocks of 1,000 samples."""
    monkeypatch.setattr("wav2edge.audio.clip.BLOCK_FRAMES", 1_000)
    with open_recording(samples, rate_hz=RATE_HZ) as recording:
        for _ in recording.blocks():
            pass
    return tuple(recording.warnings)


def test_samples_of_a_recording_that_are_not_finite_are_counted_from_its_beginning(monkeypatch):
    samples = speech(0.5)
    samples[[2_500, 2_501, 6_000]] = np.nan
    with pytest.raises(AudioError, match=r"not finite, 3 in all, the first at index 2500, channel 0 \(nan\)"):
        blocks_of(monkeypatch, samples)


@pytest.mark.parametrize(
    ("peaks", "warning"),
    [
        ([5.2, 0.5, 7.5, 6.0], "peak 7.5 is far above full scale 1.0: were integers passed as floats?"),
        ([1e-4, 1e-3], "very quiet, with a peak of -60 dBFS: words may be wrong or missing; make it louder"),
    ],
)
def test_a_recording_has_one_warning_for_its_peak(monkeypatch, peaks, warning):
    assert blocks_of(monkeypatch, np.repeat(peaks, 1_000) * np.tile([1, -1], 500 * len(peaks))) == (warning,)


def test_a_silent_recording_is_refused(engine):
    with pytest.raises(AudioError, match="silent from start to end"):
        engine(silence(40.0), rate_hz=RATE_HZ)


def test_a_pipe_is_answered_as_the_file_is(tmp_path, engine, recording):
    soundfile.write(tmp_path / "clip.wav", recording, RATE_HZ)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    piped = engine(Pipe((tmp_path / "clip.wav").read_bytes()), segments=True)
    assert piped == engine(tmp_path / "clip.wav", segments=True)


def test_segments_can_be_told_how_long_they_may_be(engine, recording, monkeypatch):
    monkeypatch.setattr(engine, "segmentation", Segmentation(longest_s=1.2), raising=False)
    result = engine(recording, rate_hz=RATE_HZ)
    assert max(segment.duration_s for segment in result.segments) <= 1.2 + 1e-6


@pytest.mark.parametrize("rate_hz", [0, -1])
def test_a_rate_that_cannot_be_is_refused_before_its_duration_is_asked_for(engine, rate_hz):
    with pytest.raises(AudioError, match=f"array: {rate_hz} Hz is outside"):
        engine(silence(1.0), rate_hz=rate_hz)
