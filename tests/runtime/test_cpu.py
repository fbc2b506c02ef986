"""Which int8 graphs a processor computes exactly, and the warning about the others."""

from __future__ import annotations

import dataclasses
import json

import pytest

from wav2edge.bundle.manifest import Manifest, Variant, sealed
from wav2edge.inference.sessions import cpu
from wav2edge.inference.sessions.cpu import TARGETS, int8_saturation_warning, native_target

LARGEST_ACTIVATION = 255
LARGEST_SUM = 32_767


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be another processor."""

    def pretend(name: str, *features: str) -> None:
        monkeypatch.setattr(cpu.platform, "machine", lambda: name)
        monkeypatch.setattr(cpu, "cpuinfo", lambda *keys: " ".join(("fpu", *features)))

    return pretend


def test_sums_of_two_products_fit_sixteen_bits_with_the_weights_made_for_avx2_and_not_with_eight_bits():
    largest = {name: 2 ** (target.weight_bits - 1) for name, target in TARGETS.items()}
    assert 2 * LARGEST_ACTIVATION * largest["avx2"] <= LARGEST_SUM < 2 * LARGEST_ACTIVATION * (largest["vnni"] - 1)


@pytest.mark.parametrize(
    ("name", "features", "target"),
    [
        ("x86_64", ("avx2",), "avx2"),
        ("x86_64", ("avx2", "avx512f"), "avx2"),
        ("x86_64", ("avx2", "avx512f", "avx512_vnni"), "vnni"),
        ("AMD64", ("avx2", "avx_vnni"), "vnni"),
        ("x86_64", ("avx2", "amx_int8"), "vnni"),
        ("x86_64", (), "avx2"),
        ("aarch64", ("asimddp",), "vnni"),
        ("arm64", (), "vnni"),
    ],
)
def test_a_processor_gets_the_weights_it_multiplies_exactly(machine, name, features, target):
    machine(name, *features)
    assert native_target()[0] == target


def variant(target: str | None) -> Variant:
    return Variant(file="onnx/model_quantized.onnx", precision="int8", operators="fused", target=target)


def test_eight_bit_weights_are_reported_only_where_their_products_saturate(machine):
    machine("x86_64", "avx2")
    assert "--target avx2" in int8_saturation_warning(variant("vnni"))
    assert (
        int8_saturation_warning(variant("avx2"))
        is int8_saturation_warning(variant("exact"))
        is int8_saturation_warning(variant(None))
        is None
    )
    assert int8_saturation_warning(variant("vnni"), "cuda") is None
    machine("x86_64", "avx2", "avx_vnni")
    assert int8_saturation_warning(variant("vnni")) is None
    machine("x86_64")  # a system that lists no features: nothing is known, so there is no warning
    assert int8_saturation_warning(variant("vnni")) is None


@pytest.mark.parametrize(
    "words",
    [("inspect",), ("verify",), pytest.param(("bench", "--runs", "1", "--variant", "int8"), marks=pytest.mark.slow)],
)
def test_verbs_that_examine_a_bundle_warn_of_saturation_once(cli, own_bundle, machine, words):
    path = own_bundle / "manifest.json"
    manifest = Manifest.from_json(path.read_text())
    int8 = dataclasses.replace(manifest.variants["int8"], target="vnni")
    path.write_text(dataclasses.replace(manifest, variants={**manifest.variants, "int8": int8}).to_json())
    machine("x86_64", "avx2")
    outcome = cli(words[0], own_bundle, *words[1:])
    assert outcome.code == 0
    assert outcome.err.count("sums saturate and logits drift; export it with --target avx2 or exact") == 1


def test_the_target_survives_in_the_manifest_and_inspect_shows_it(cli, own_bundle):
    path = own_bundle / "manifest.json"
    document = json.loads(path.read_text())
    assert "target" not in document["variants"]["fp32"]
    document["variants"]["int8"]["target"] = "avx2"
    path.write_text(sealed(document))
    assert cli("inspect", own_bundle, "--json").json["variants"]["int8"]["target"] == "avx2"
    assert "model_quantized.onnx  for avx2" in cli("inspect", own_bundle).out
