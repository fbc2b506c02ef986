"""What the page draws a waveform from, against numpy over the samples themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.js.page_server import needs_node

PYRAMID = Path(__file__).parents[2] / "runtime" / "js" / "page" / "pyramid.js"
SCRIPT = f"""
import {{ readFileSync }} from "node:fs";
import {{ Pyramid }} from {json.dumps(PYRAMID.as_uri())};
const samples = new Float32Array(new Uint8Array(readFileSync(0)).buffer);
const [block, start, step, span, columns] = process.argv.slice(1).map(Number);
const pyramid = new Pyramid();
for (let at = 0; at < samples.length; at += block) pyramid.append(samples.subarray(at, at + block));
const out = new Float32Array(2 * columns);
pyramid.columns(start, step, span, out);
process.stdout.write(JSON.stringify([...out]));
"""
COLUMNS = 50
FINEST, FACTOR = 64, 4

pytestmark = needs_node


def columns(samples: np.ndarray, block: int, start: float, step: float, span: float) -> np.ndarray:
    words = [str(value) for value in (block, start, step, span, COLUMNS)]
    command = ["node", "--input-type=module", "--eval", SCRIPT, *words]
    done = subprocess.run(command, input=samples.tobytes(), capture_output=True, timeout=30, check=True)
    return np.array(json.loads(done.stdout)).reshape(COLUMNS, 2)


@pytest.mark.parametrize(("step", "span"), [(10.0, 160.0), (57.3, 64.0), (300.0, 300.0), (1999.7, 1999.7)])
@pytest.mark.parametrize("block", [2048, 777])
def test_columns_enclose_the_sound_and_reach_a_block_beyond_it_at_most(block: int, step: float, span: float) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 131_072).astype(np.float32)
    samples *= np.abs(np.sin(np.arange(samples.size) / 9_000))  # loud and quiet stretches
    start = 5_000.0
    found = columns(samples, block, start, step, span)
    size = FINEST
    while size * FACTOR <= span:
        size *= FACTOR
    for column, (low, high) in enumerate(found):
        first, end = start + column * step - span / 2, start + column * step + span / 2
        shown = samples[max(0, int(np.ceil(first))) : int(end)]
        around = samples[max(0, int(first) - size) : int(end) + size + 1]
        assert low <= shown.min() + 1e-4
        assert high >= shown.max() - 1e-4
        assert low >= around.min() - 1e-4
        assert high <= around.max() + 1e-4


def test_columns_behind_the_sound_are_empty() -> None:
    found = columns(np.full(6_400, 0.5, np.float32), 100, 0.0, 256.0, 256.0)
    assert found[0] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert found[24] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert not found[26:].any()


def test_samples_beyond_full_scale_are_drawn_as_full_scale() -> None:
    found = columns(np.tile(np.array([1.7, -2.0], np.float32), 3_200), 6_400, 64.0, 64.0, 64.0)
    assert found[0] == pytest.approx([-1.0, 1.0])
