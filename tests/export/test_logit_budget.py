"""How far fp32 may be from the original, whose rounding grows with the size of its logits."""

from types import SimpleNamespace

import numpy as np
import pytest

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.bundle.heads import ClassificationHead, EmbeddingHead, Heads
from wav2edge_export.bundle.certification import Certifier, EvaluationClips
from wav2edge_export.quantization.recipes import RECIPES

CLASSES = Heads(classification=ClassificationHead(output="out", labels=("0", "1")))
VOICE = Heads(embedding=EmbeddingHead(output="out", size=2, fewest_frames=2))


def certificate_of(largest, error, heads=CLASSES):
    """Of an fp32 graph whose logits are off by ``error`` and reach ``largest``."""
    exact = np.array([largest, -largest / 2])
    certifier = Certifier(
        original=lambda samples: {"out": exact},
        clips=EvaluationClips(),
        heads=heads,
        geometry=ConvGeometry(kernels=(10, 3, 3, 3, 3, 2, 2), strides=(5, 2, 2, 2, 2, 2, 2)),
        batched=False,
        log=lambda line: None,
    )
    engine = SimpleNamespace(outputs=lambda samples: {"out": exact + error})
    return certifier.certify(engine, "fp32", RECIPES["fp32"].budget, parts={})


@pytest.mark.parametrize(
    ("largest", "error", "passes"), [(1.0, 9e-5, True), (1.0, 1.1e-4, False), (9.0, 1.7e-4, True), (9.0, 1.9e-4, False)]
)
def test_fp32_may_be_off_by_a_ten_thousandth_or_by_the_rounding_of_its_largest_logit(largest, error, passes):
    assert certificate_of(largest, error).passed == passes


def test_the_bound_is_in_the_certificate_and_holds_when_it_is_certified_again():
    certificate = certificate_of(9.0, 1.9e-4)
    assert certificate.budget.absolute_error == pytest.approx(1.8e-4)
    assert certificate.violations == ("absolute error 0.00019, 0.00018 allowed",)


def test_what_is_not_finite_allows_for_nothing_and_embeddings_are_compared_by_their_shares():
    assert not certificate_of(np.inf, 1e-5).passed
    assert certificate_of(1e6, 0.0, VOICE).budget.absolute_error == 1e-4
