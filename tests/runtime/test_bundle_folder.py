from __future__ import annotations

import hashlib
import json

import pytest

from tests.runtime.tiny_bundle import noise
from wav2edge import BundleError, Engine
from wav2edge.bundle.folder import Bundle, sha256_of

GRAPH = "onnx/model.onnx"


def refusal(action) -> str:
    with pytest.raises(BundleError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_digest_is_that_of_hashlib(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 5_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_bundle_is_opened_by_its_folder(bundle):
    assert Bundle.open(bundle) == Bundle.open(str(bundle))


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path):
    assert refusal(lambda: Bundle.open(tmp_path)) == (
        f"{tmp_path}: not a bundle, it has no manifest.json; give the folder that `wav2edge export` wrote"
    )


def test_a_folder_that_is_not_there_is_not_to_be_exported_to(tmp_path):
    folder = tmp_path / "nowhere"
    assert refusal(lambda: Bundle.open(folder)) == f"{folder}: not a bundle, there is no such folder; check the path"


def test_a_file_in_place_of_a_bundle_is_refused_with_the_bundle_it_is_in(tmp_path, bundle):
    graph = bundle / "onnx/model.onnx"
    assert refusal(lambda: Bundle.open(graph)) == f"{graph}: not a bundle but a file; give its folder, {bundle}"
    clip = tmp_path / "clip.wav"
    clip.touch()
    assert refusal(lambda: Bundle.open(clip)) == (
        f"{clip}: not a bundle but a file; give the folder that `wav2edge export` wrote"
    )


def test_a_manifest_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    assert refusal(lambda: Bundle.open(tmp_path)).startswith(f"{tmp_path / 'manifest.json'}: Is a directory")


def test_a_broken_manifest_is_named_by_its_path(own_bundle):
    (own_bundle / "manifest.json").write_text("{")
    assert refusal(lambda: Bundle.open(own_bundle)).startswith(f"{own_bundle / 'manifest.json'}: not JSON")


def test_the_default_variant_needs_no_name(bundle):
    opened = Bundle.open(bundle)
    assert opened.variant() == opened.variant("fp32")
    assert opened.variant("int8").file == "onnx/model_quantized.onnx"


def test_an_unknown_variant_is_refused_with_the_names_of_the_others(bundle):
    assert refusal(lambda: Bundle.open(bundle).variant("fp16")) == f"{bundle}: no variant 'fp16'; it has: fp32, int8"


def test_every_file_of_an_intact_bundle_has_its_digest(bundle):
    opened = Bundle.open(bundle)
    for name in opened.manifest.files:
        opened.check_hash(name)
    assert sorted(opened.manifest.files) == [
        "certificate.json",
        "config.json",
        "golden.json",
        GRAPH,
        "onnx/model_quantized.onnx",
    ]


@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_flipped_bit_is_found_at_any_place(own_bundle, place):
    path = own_bundle / GRAPH
    content = bytearray(path.read_bytes())
    content[round(place * len(content)) if place > 0 else place] ^= 1
    path.write_bytes(content)
    opened = Bundle.open(own_bundle)
    opened.check_size(GRAPH)
    assert refusal(lambda: opened.check_hash(GRAPH)).startswith(f"{path}: damaged")


@pytest.mark.parametrize("size", [0, 100])
def test_a_file_of_another_size_is_refused_before_it_is_hashed(own_bundle, size):
    path = own_bundle / GRAPH
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(lambda: Bundle.open(own_bundle).check_size(GRAPH)) == (
        f"{path}: {size} bytes where the manifest says {whole}; copy or export it again"
    )


def test_a_missing_file_is_refused(own_bundle):
    (own_bundle / GRAPH).unlink()
    message = refusal(lambda: Bundle.open(own_bundle).check_size(GRAPH))
    assert message == f"{own_bundle / GRAPH}: missing from the bundle; copy or export it again"


@pytest.mark.parametrize("linked", [GRAPH, "onnx"], ids=["a file", "a folder"])
def test_files_may_be_links_as_in_the_cache_of_the_hub_because_their_content_is_checked(own_bundle, tmp_path, linked):
    (own_bundle / linked).rename(tmp_path / "elsewhere")
    (own_bundle / linked).symlink_to(tmp_path / "elsewhere")
    Bundle.open(own_bundle).check_hash(GRAPH)
    (own_bundle / GRAPH).write_bytes(bytes(reversed((own_bundle / GRAPH).read_bytes())))
    assert refusal(lambda: Bundle.open(own_bundle).check_hash(GRAPH)).startswith(f"{own_bundle / GRAPH}: damaged")


def test_a_bundle_may_be_reached_by_a_link(bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    Bundle.open(tmp_path / "link").check_hash(GRAPH)


def test_files_that_the_manifest_does_not_list_are_found(own_bundle):
    (own_bundle / "onnx/extra.onnx").touch()
    (own_bundle / "notes").mkdir()
    (own_bundle / "notes/a.txt").touch()
    assert list(Bundle.open(own_bundle).unlisted_files()) == ["notes/a.txt", "onnx/extra.onnx"]


def test_the_files_that_the_hub_adds_are_skipped(own_bundle):
    (own_bundle / ".gitattributes").touch()
    (own_bundle / ".cache/huggingface").mkdir(parents=True)
    (own_bundle / ".cache/huggingface/model.onnx.metadata").touch()
    assert list(Bundle.open(own_bundle).unlisted_files()) == []


def test_json_of_a_bundle_is_read_only_when_its_digest_is_right(own_bundle):
    assert Bundle.open(own_bundle).read_json("golden.json")["rate_hz"] == 16_000
    path = own_bundle / "golden.json"
    path.write_text(path.read_text().replace("16000", "16001"))
    assert "damaged" in refusal(lambda: Bundle.open(own_bundle).read_json("golden.json"))


def test_json_that_the_manifest_does_not_list_is_refused(edit_manifest, bundle):
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    own = edit_manifest(files={name: record for name, record in files.items() if name != "golden.json"})
    message = refusal(lambda: Bundle.open(own).read_json("golden.json"))
    assert message == f"{own}: has no golden.json; export it again"


@pytest.mark.parametrize("weights", ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin"])
def test_a_pytorch_checkpoint_is_refused_with_the_command_that_exports_it_elsewhere(tmp_path, weights):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / weights).touch()
    assert refusal(lambda: Bundle.open(tmp_path)) == (
        f"{tmp_path}: a PyTorch checkpoint, not a bundle; export it: wav2edge export {tmp_path} --output BUNDLE"
    )


def test_the_digest_of_the_manifest_is_that_of_its_file(bundle):
    expected = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert Bundle.open(bundle).manifest_sha256() == expected


def test_an_engine_warns_beyond_the_certified_duration_and_not_within_it(edit_manifest):
    engine = Engine.from_bundle(Bundle.open(edit_manifest(certified_up_to_s=1.5)), threads=1)
    within, beyond = (engine(noise(samples), rate_hz=16_000, segments=False) for samples in (24_000, 24_160))
    assert within.warnings == ()
    (warning,) = beyond.warnings
    assert "certified up to 1.5 s" in warning
