"""The picture of a recording: its waveform, segments and words where they are, whatever its length."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile
from matplotlib.colors import to_hex

from wav2edge import MissingDependencyError, UsageError
from wav2edge.output import plot
from wav2edge.output.plot import COLUMNS, PALE, REJECTED, SPEECH, Envelope, check_plot, draw, envelope_of, write_plot
from wav2edge.output.result import Result, Segment, Word


def segment(start_s, *texts, step_s=0.4, label="3", **fields):
    words = tuple(
        Word(text=text, start_s=start_s + number * step_s, end_s=start_s + (number + 0.5) * step_s, confidence=0.9)
        for number, text in enumerate(texts)
    )
    end_s = start_s + max(1, len(texts)) * step_s
    scores = {label: 0.9, "other": 0.1}
    return Segment(start_s=start_s, end_s=end_s, text=" ".join(texts), words=words, scores=scores, **fields)


def recording(duration_s, *segments):
    return Result.of_segments(segments, duration_s=duration_s)


def drawn(result, *, row_s=None):
    level = np.full(round(result.duration_s / 0.01), 0.5, np.float32)
    envelope = Envelope(low=-level, high=level, stretch_s=0.01)
    return draw(result, envelope, row_s=row_s or result.duration_s, title="talk.wav")


def texts(axes):
    return {text.get_text(): text.get_position() for text in axes.texts}


def grounds(axes):
    """Left and right end of each segment, with its colour."""
    return [
        (round(patch.get_x(), 3), round(patch.get_x() + patch.get_width(), 3), to_hex(patch.get_facecolor()))
        for patch in axes.patches
    ]


def test_words_stand_over_the_middle_of_their_times_and_segments_behind_them():
    figure = drawn(recording(10.0, segment(1.0, "fu", "dan"), segment(6.0, "bei", "jing")))
    (axes,) = figure.axes
    assert {name: round(x, 2) for name, (x, y) in texts(axes).items() if y > 1} == {
        "fu": 1.1,
        "dan": 1.5,
        "bei": 6.1,
        "jing": 6.5,
    }
    assert grounds(axes) == [(1.0, 1.8, SPEECH), (6.0, 6.8, SPEECH)]
    assert [text.get_text() for text in axes.texts if text.get_position()[1] < 0] == ["3 (0.90)", "3 (0.90)"]
    assert figure._suptitle.get_text() == "talk.wav"


def test_words_that_would_touch_stand_at_other_heights_and_none_covers_another():
    crowd = segment(1.0, *["wenzhou", "shanghai", "beijing", "tianjin", "chongqing"], step_s=0.35)
    (axes,) = drawn(recording(30.0, crowd)).axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len({round(y, 2) for _, y in texts(axes).values()}) > 1
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_a_word_at_the_edge_is_moved_inside():
    (axes,) = drawn(recording(20.0, segment(19.5, "chongqing", step_s=0.5))).axes
    (word,) = (text for text in axes.texts if text.get_text() == "chongqing")
    assert word.get_window_extent().x1 <= axes.get_window_extent().x1 + 0.5


def test_rejected_segments_have_another_ground_and_say_so():
    (axes,) = drawn(recording(10.0, segment(1.0, "fu"), segment(6.0, "bei").as_rejected())).axes
    assert [colour for *_, colour in grounds(axes)] == [SPEECH, REJECTED]
    assert "rejected" in texts(axes)
    assert "bei" not in texts(axes)


def test_without_word_times_the_text_stands_over_its_segment():
    untimed = Segment(start_s=2.0, end_s=4.0, text="fu dan")
    (axes,) = drawn(recording(10.0, untimed)).axes
    assert texts(axes)["fu dan"][0] == pytest.approx(3.0)


def test_a_clip_that_was_answered_whole_is_one_segment():
    result = Result(duration_s=1.2, text="fu", words=(Word(text="fu", start_s=0.4, end_s=0.6, confidence=1.0),))
    (axes,) = drawn(result).axes
    assert grounds(axes) == [(0.0, 1.2, SPEECH)]
    assert texts(axes)["fu"][0] == pytest.approx(0.5)


def test_minutes_have_rows_and_each_word_stands_in_its_own():
    figure = drawn(recording(120.0, segment(10.0, "fu"), segment(70.0, "dan")), row_s=60.0)
    first, second = figure.axes
    assert ("fu" in texts(first), "fu" in texts(second)) == (True, False)
    assert ("dan" in texts(first), "dan" in texts(second)) == (False, True)
    assert second.get_xlim() == (60.0, 120.0)
    assert [label.get_text() for label in second.get_xticklabels()][:2] == ["1:00", "1:05"]


def test_an_hour_is_one_row_over_a_strip_of_its_segments():
    figure = drawn(recording(3600.0, *[segment(10.0 * number, "fu") for number in range(300)]))
    (axes,) = figure.axes
    assert len(axes.texts) == 0
    assert len(axes.patches) == 300
    assert {to_hex(patch.get_facecolor()) for patch in axes.patches} == {PALE}
    assert "30:00" in [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.parametrize("block", [1, 7, 1_000, 16_000])
def test_the_envelope_does_not_depend_on_the_blocks(block):
    samples = np.random.default_rng(0).standard_normal(16_500).astype(np.float32)
    found = envelope_of((samples[start : start + block] for start in range(0, len(samples), block)), 0.01)
    rows = [samples[start : start + 160] for start in range(0, len(samples), 160)]
    np.testing.assert_array_equal(found.low, [row.min() for row in rows])
    np.testing.assert_array_equal(found.high, [row.max() for row in rows])
    assert found.stretch_s == 0.01


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.random.default_rng(0).standard_normal(90 * 16_000) * 0.1, 16_000)
    return path


@pytest.mark.filterwarnings("error")  # a script that no font here has is no reason to speak
@pytest.mark.parametrize(("suffix", "signature"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_every_format_is_written_whole(talk, tmp_path, suffix, signature):
    path = tmp_path / f"talk{suffix}"
    write_plot(path, recording(90.0, segment(10.0, "复旦", label="三")), str(talk))
    assert path.read_bytes().startswith(signature)
    assert os.listdir(tmp_path) == [*sorted({"talk.wav", path.name})] or set(os.listdir(tmp_path)) == {
        "talk.wav",
        path.name,
    }


def test_what_fails_leaves_no_picture(talk, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(RuntimeError):
        write_plot(tmp_path / "talk.png", recording(90.0), str(talk))
    assert os.listdir(tmp_path) == ["talk.wav"]


def test_memory_is_that_of_columns_not_of_samples(talk):
    from wav2edge.audio.clip import open_recording

    with open_recording(str(talk)) as sound:
        envelope = envelope_of(sound.blocks(), 90.0 / COLUMNS)
    assert len(envelope.low) == pytest.approx(COLUMNS, abs=2)


# Refusals and the command line


def test_other_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"the name of a picture ends in \.png, \.svg, \.pdf"):
        check_plot(tmp_path / "talk.gif")
    with pytest.raises(UsageError, match="there is no folder"):
        check_plot(tmp_path / "missing/talk.png")


def test_without_matplotlib_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wav2edge\[plot\]'"):
        check_plot(tmp_path / "talk.png")


def test_run_draws_nothing_when_it_resumes(cli, bundle, clip, tmp_path):
    more = ("--format", "jsonl", "--output", tmp_path / "results.jsonl", "--resume")
    found = cli("run", bundle, clip, "--plot", tmp_path / "clip.png", *more)
    assert found.code == 2
    assert "which --resume may leave out; give one of them" in found.err


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_file_whose_name_is_no_text_is_drawn(cli, bundle, clip, tmp_path):
    named = os.fsdecode(os.fsencode(tmp_path) + b"/clip-\xff.wav")
    os.rename(clip, named)
    assert cli("run", bundle, named, "--plot", tmp_path / "clip.png").code == 0
    assert (tmp_path / "clip.png").read_bytes().startswith(b"\x89PNG")


def test_run_draws_what_it_answers(cli, bundle, clip, tmp_path):
    path = tmp_path / "clip.png"
    plain, found = cli("run", bundle, clip), cli("run", bundle, clip, "--plot", path)
    assert (found.code, found.out, found.err) == (plain.code, plain.out, plain.err)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("inputs", [["a.wav", "b.wav"], ["-"]])
def test_run_draws_one_file_only(cli, bundle, tmp_path, inputs):
    found = cli("run", bundle, *inputs, "--plot", tmp_path / "clip.png")
    assert found.code == 2
    assert "--plot draws one recording, which it reads twice; give one file" in found.err
    assert os.listdir(tmp_path) == []
