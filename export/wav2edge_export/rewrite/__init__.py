"""Graph rewrite: exact module replacements before the export, so that convolutions become weight MatMuls.

ONNX Runtime's ``quantize_dynamic`` quantises MatMul, and nothing else well. This package rewrites a wav2vec2 or HuBERT
model in PyTorch until its convolutions and attentions are Linears: a table of rules, each a pattern, a replacement and
a test that both give the same outputs. What a rule cannot replace exactly is left unchanged, with the reason.

    result = rewrite(model, operators="fused")
    print(result.summary)  # "attention: 24 replaced"; result.model is what to export

``ZeroMeanUnitVariance`` normalises the waveform in front of the model, so that it joins the graph. ``PaddedBatchModel``
puts a rewritten model behind an attention mask.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass

from torch import nn
from transformers import HubertModel, Wav2Vec2Model

from wav2edge.errors import CheckpointError, UsageError
from wav2edge_export.rewrite import attention, feature_encoder, positional_convolution
from wav2edge_export.rewrite.rules import Rule
from wav2edge_export.rewrite.waveform_normalization import ZeroMeanUnitVariance

__all__ = [
    "OPERATORS",
    "RULES",
    "Replaced",
    "RewriteResult",
    "Unchanged",
    "ZeroMeanUnitVariance",
    "rewrite",
]

RULES: dict[str, tuple[Rule, ...]] = {
    "standard": (feature_encoder.RULE, positional_convolution.RULE, attention.STANDARD),
    "fused": (feature_encoder.RULE, positional_convolution.RULE, attention.FUSED),
}
OPERATORS = (*RULES, "gpu")
BACKBONES = (Wav2Vec2Model, HubertModel)


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """A module that was replaced.

    Attributes:
        rule: the name of the rule.
        path: where, as ``named_modules`` writes it.
    """

    rule: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """A module that stayed as it was, though it holds convolutions or projections that will not be quantised.

    Attributes:
        rule: the name of the rule that knows such modules, or ``"convolution"`` where no rule does.
        path: where, as ``named_modules`` writes it.
        reason: why it could not be replaced exactly.
    """

    rule: str
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RewriteResult:
    """The rewritten model and what was done to it.

    Attributes:
        model: gives the outputs of the original within 1e-5 of the scale of its logits.
        replaced: every replacement, in the order of the rules.
        unchanged: what could not be replaced; empty when every convolution and projection is a Linear.
    """

    model: nn.Module
    replaced: tuple[Replaced, ...]
    unchanged: tuple[Unchanged, ...]

    @property
    def summary(self) -> str:
        """One line per rule and one per part kept, for a person to read."""
        counts = Counter(site.rule for site in self.replaced)
        lines = [f"{rule}: {count} replaced" for rule, count in counts.items()]
        return "\n".join(lines + [f"{site.rule}: kept {site.path}, {site.reason}" for site in self.unchanged])


def rewrite(model: nn.Module, *, operators: str = "fused") -> RewriteResult:
    """Replace every module that a rule knows, in a copy.

    Args:
        model: a wav2vec2 or HuBERT model under any head, or the bare backbone; it is never changed.
        operators: ``"standard"`` writes attention in plain ONNX operators, ``"fused"`` as one
            ``com.microsoft.MultiHeadAttention``, for execution providers that have it; ``"gpu"`` fuses more, for
            padded batches on GPUs.

    Returns:
        The copy in evaluation mode, without gradients, and the report.

    Raises:
        UsageError: the operators are none of these.
        CheckpointError: the model has no wav2vec2 or HuBERT backbone.
    """
    if operators not in OPERATORS:
        raise UsageError(f"Unknown operators {operators!r}: choose one of {', '.join(OPERATORS)}.")
    if not any(isinstance(module, BACKBONES) for module in model.modules()):
        raise CheckpointError(
            f"{type(model).__name__} holds no wav2vec2 or HuBERT backbone, and the graph rewrite knows no other: "
            "load a wav2vec2 or HuBERT checkpoint with its transformers class, such as Wav2Vec2ForCTC."
        )
    rewritten = copy.deepcopy(model).eval().requires_grad_(False)
    replaced: list[Replaced] = []
    unchanged: list[Unchanged] = []
    for rule in _rules(operators):
        _apply(rule, rewritten, replaced, unchanged)
    return RewriteResult(
        model=rewritten, replaced=tuple(replaced), unchanged=(*unchanged, *_left_over(rewritten, unchanged))
    )


def _rules(operators: str) -> tuple[Rule, ...]:
    if operators == "gpu":
        from wav2edge_export.rewrite.gpu import gpu_encoder, gpu_feature_encoder  # here: most exports are for CPUs

        return (gpu_feature_encoder.RULE, gpu_encoder.RULE)
    return RULES[operators]


def _apply(rule: Rule, model: nn.Module, replaced: list[Replaced], unchanged: list[Unchanged]) -> None:
    """Apply one rule to every module it matches, and write down what became of each."""
    sites = [(path, module) for path, module in model.named_modules() if isinstance(module, rule.matches)]
    for path, module in sites:
        reason = rule.reason_to_keep(module)
        if reason is None:
            model.set_submodule(path, rule.replacement(module).eval())
            replaced.append(Replaced(rule=rule.name, path=path))
        else:
            unchanged.append(Unchanged(rule=rule.name, path=path, reason=reason))


def _left_over(model: nn.Module, unchanged: list[Unchanged]) -> list[Unchanged]:
    """The convolutions that no rule knows, such as an adapter's, outside the parts already reported."""
    reported = tuple(f"{site.path}." for site in unchanged)
    convolutions = (
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd) and not path.startswith(reported)
    )
    return [
        Unchanged(rule="convolution", path=path, reason="no rule replaces this convolution") for path in convolutions
    ]
