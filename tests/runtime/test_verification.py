from __future__ import annotations

import json

import pytest

from tests.runtime import tiny_bundle
from wav2edge import BundleError
from wav2edge.bundle.folder import Bundle
from wav2edge.bundle.manifest import sealed
from wav2edge.evaluation.verification import Check, verify


@pytest.fixture
def rewrite(own_bundle):
    """Change a JSON file of the bundle and list it again in the manifest, as an export would."""

    def change(name: str, edit) -> None:
        path = own_bundle / name
        document = json.loads(path.read_text())
        edit(document)
        path.write_text(json.dumps(document))
        manifest = json.loads((own_bundle / "manifest.json").read_text())
        manifest["files"][name] = vars(tiny_bundle.record(path))
        (own_bundle / "manifest.json").write_text(sealed(manifest))

    return change


def failed(folder) -> dict[str, str]:
    return {check.name: check.detail for check in verify(Bundle.open(folder)) if not check.passed}


def test_an_intact_bundle_passes_every_check(bundle):
    checks = list(verify(Bundle.open(bundle), threads=1))
    assert [check.name for check in checks if not check.passed] == []
    assert [check.name for check in checks][-4:] == [
        "certificate fp32",
        "golden fp32",
        "certificate int8",
        "golden int8",
    ]


def test_a_flipped_bit_fails_its_file_and_no_graph_is_run(own_bundle):
    path = own_bundle / "onnx/model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    checks = list(verify(Bundle.open(own_bundle)))
    assert [check.name for check in checks if not check.passed] == ["onnx/model.onnx"]
    assert not any(check.name.startswith("golden ") for check in checks)


def test_an_unlisted_file_fails(own_bundle):
    (own_bundle / "onnx/other.onnx").touch()
    assert failed(own_bundle) == {
        "onnx/other.onnx": "not in the manifest; remove it, or export the bundle again",
    }


def test_a_missing_file_fails(own_bundle):
    (own_bundle / "config.json").unlink()
    assert list(failed(own_bundle)) == ["config.json"]


def test_outputs_other_than_the_golden_ones_fail(own_bundle, rewrite):
    def shift(golden):
        golden["variants"]["int8"]["outputs"]["class_logits"][0] += 1.0

    rewrite("golden.json", shift)
    assert list(failed(own_bundle)) == ["golden int8"]


@pytest.mark.parametrize("value", [[0.0], None])
def test_golden_outputs_of_another_shape_fail(own_bundle, rewrite, value):
    rewrite("golden.json", lambda golden: golden["variants"]["fp32"]["outputs"].update(logits=value))
    assert list(failed(own_bundle)) == ["golden fp32"]


def test_a_variant_without_golden_outputs_fails(own_bundle, rewrite):
    rewrite("golden.json", lambda golden: golden["variants"].pop("int8"))
    assert failed(own_bundle) == {"golden int8": "none; export the bundle again"}


def test_a_variant_without_a_certificate_fails(own_bundle, rewrite):
    rewrite("certificate.json", lambda document: document["variants"].pop("int8"))
    assert failed(own_bundle) == {"certificate int8": "none; export the bundle again"}


def test_a_certificate_that_was_not_passed_fails(own_bundle, rewrite):
    rewrite("certificate.json", lambda document: document["variants"]["fp32"].update(passed=False))
    assert list(failed(own_bundle)) == ["certificate fp32"]


def test_a_bundle_without_a_certificate_cannot_be_verified(own_bundle):
    (own_bundle / "certificate.json").unlink()
    manifest = json.loads((own_bundle / "manifest.json").read_text())
    del manifest["files"]["certificate.json"]
    (own_bundle / "manifest.json").write_text(sealed(manifest))
    with pytest.raises(BundleError, match=r"has no certificate\.json; export it again"):
        list(verify(Bundle.open(own_bundle)))


def test_checks_come_one_by_one(bundle):
    assert isinstance(next(verify(Bundle.open(bundle))), Check)


def test_each_listed_file_is_a_step_of_the_progress(bundle):
    steps = []
    opened = Bundle.open(bundle)
    list(verify(opened, advance=lambda: steps.append(1)))
    assert len(steps) == len(opened.manifest.files)
