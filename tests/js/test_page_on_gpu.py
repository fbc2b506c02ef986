"""The page on WebGPU, which Chromium has in software: the answers of Python, and what such a GPU cannot do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

import wav2edge
from tests.export.tiny_checkpoints import save_checkpoint
from tests.js.page_modules import browser, use_page
from tests.runtime import tiny_bundle
from wav2edge_export.export_options import ExportOptions
from wav2edge_export.exporting import export_bundle

pytestmark = pytest.mark.slow

OPERATORS = ("standard", "gpu")
CLIP_S = 1.0


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of random weights for GPUs, with plain operators and with fused ones for padded batches."""
    folder = tmp_path_factory.mktemp("gpu")
    checkpoint = str(save_checkpoint(folder / "checkpoint", "joint"))
    made = {}
    for name in OPERATORS:
        options = ExportOptions(
            checkpoint=checkpoint, output=folder / name, precisions=("fp16", "fp32"), operators=name
        )
        made[name] = export_bundle(options).bundle.folder
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "noise.wav"
    soundfile.write(path, tiny_bundle.noise(round(16_000 * CLIP_S)), 16_000)
    return path


@pytest.fixture(scope="module")
def seen(js_folder: Path, bundles: dict[str, Path], clip: Path) -> dict[str, Any]:
    """What a browser saw of each bundle on each device, and of variants that its GPU cannot compute."""
    browser()

    def use(scenario: str, bundle: str, **parameters: str) -> Any:
        asked = {"name": scenario, "bundle": bundle, "clip": str(clip), "parameters": parameters}
        return use_page(js_folder / "node_modules", bundles, [asked], gpu=True)[scenario]

    found = {"fp32": use("gpu", "standard", device="webgpu")}
    if not found["fp32"].get("there", True):
        pytest.skip("this Chromium has no WebGPU in software")
    return found | {
        "fp16": use("damaged", "standard", device="webgpu", variant="fp16"),
        "padded": use("damaged", "gpu", device="webgpu"),
        "padded, auto": use("gpu", "gpu", device="auto", variant="fp32"),
    }


def expected(bundle: Path, clip: Path) -> tuple[str | None, str | None]:
    result = wav2edge.load(bundle, variant="fp32")(clip)
    return result.text, result.label


def test_webgpu_has_the_answer_of_python_and_passes_the_self_test(
    seen: dict[str, Any], bundles: dict[str, Path], clip: Path
) -> None:
    found = seen["fp32"]
    assert "failed" not in found, found["failed"]
    (answer,) = found["answers"]
    assert (answer["text"], answer["label"]) == expected(bundles["standard"], clip)
    assert found["figures"]["Runs on"].startswith("webgpu")
    passed = re.match(r"Passed, in [\d.]+ s\nfp32: outputs within ([\d.e-]+), ", found["selfTest"])
    assert passed, found["selfTest"]
    assert float(passed[1]) < 1e-3
    assert found["seen"]["errors"] == []


def test_a_gpu_without_half_precision_is_given_fp32_and_refuses_fp16(seen: dict[str, Any]) -> None:
    assert seen["fp32"]["figures"]["Model"] == "standard, fp32"
    wanted = "webgpu cannot be used here: its GPU has no half precision for fp16; choose the variant fp32"
    assert seen["fp16"]["notice"]["text"] == wanted
    assert seen["fp16"]["recordDisabled"]


def test_a_graph_with_operators_that_webgpu_lacks_is_refused_when_it_is_loaded(seen: dict[str, Any]) -> None:
    notice = seen["padded"]["notice"]["text"]
    assert notice.startswith("webgpu cannot be used here: ")
    assert "key_padding_mask" in notice
    assert seen["padded"]["recordDisabled"]


def test_where_webgpu_cannot_be_used_webassembly_answers(
    seen: dict[str, Any], bundles: dict[str, Path], clip: Path
) -> None:
    found = seen["padded, auto"]
    assert "failed" not in found, found["failed"]
    (answer,) = found["answers"]
    assert (answer["text"], answer["label"]) == expected(bundles["gpu"], clip)
    assert found["figures"]["Runs on"].startswith("wasm")
