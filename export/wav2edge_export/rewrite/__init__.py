"""Graph rewrite: exact module replacements before the export, so that convolutions become weight MatMuls.

ONNX Runtime's ``quantize_dynamic`` quantises MatMul, and nothing else well. This package rewrites a model of the
wav2vec2 family in PyTorch until its convolutions and attentions are Linears: a table of rules, each a pattern, a
replacement and a test that both give the same outputs. What a rule cannot replace exactly is left unchanged, with the
reason.

    result = rewrite(model, operators="fused")
    print(result.summary)  # "attention: 24 replaced"; result.model is what to export

``ZeroMeanUnitVariance`` normalises the waveform in front of the model, so that it joins the graph. ``PaddedBatchModel``
puts a rewritten model behind an attention mask.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module

from torch import nn
from transformers import PretrainedConfig

from wav2edge.errors import UsageError
from wav2edge_export.rewrite import attention
from wav2edge_export.rewrite.convolutions import feature_encoder, positional_convolution
from wav2edge_export.rewrite.inputs.waveform_normalization import ZeroMeanUnitVariance
from wav2edge_export.rewrite.rules import Rule
from wav2edge_train.checkpoint.families.family_table import backbone_of, family_of

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
    operators: (feature_encoder.RULE, positional_convolution.RULE, positional_convolution.STACK, of_attention)
    for operators, of_attention in (("standard", attention.STANDARD), ("fused", attention.FUSED))
}
"""Rules for the parts that most families share, by the operators they write."""
OPERATORS = (*RULES, "gpu")

OF_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "wavlm": ("positions.gated_attention",),
    "sew": ("convolutions.squeezed_encoder",),
    "sew-d": ("convolutions.squeezed_encoder", "positions.disentangled_attention"),
    "wav2vec2-conformer": ("positions.conformer_attention", "convolutions.conformer_convolution"),
    "wav2vec2-bert": ("positions.conformer_attention", "convolutions.conformer_convolution"),
}
"""Modules with the ``RULES`` of a family's own parts; the adapter's join them where a checkpoint has one."""
ADAPTER = "convolutions.adapter"


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
        model: a model of one of the families, under any head, or its bare backbone; it is never changed.
        operators: ``"standard"`` writes attention in plain ONNX operators, ``"fused"`` as one
            ``com.microsoft.MultiHeadAttention``, for execution providers that have it; ``"gpu"`` fuses more, for
            padded batches on GPUs.

    Returns:
        The copy in evaluation mode, without gradients, and the report.

    Raises:
        UsageError: the operators are none of these.
        CheckpointError: the model has no backbone of these families.
    """
    if operators not in OPERATORS:
        raise UsageError(f"Unknown operators {operators!r}: choose one of {', '.join(OPERATORS)}.")
    rules = [*_rules(backbone_of(model).config, operators), *_rules_of_head(model)]
    rewritten = copy.deepcopy(model).eval().requires_grad_(False)
    replaced: list[Replaced] = []
    unchanged: list[Unchanged] = []
    for rule in rules:
        _apply(rule, rewritten, replaced, unchanged)
    known: tuple[Unchanged | Replaced, ...] = (*unchanged, *replaced)
    return RewriteResult(
        model=rewritten, replaced=tuple(replaced), unchanged=(*unchanged, *_left_over(rewritten, known))
    )


def _rules(config: PretrainedConfig, operators: str) -> Iterator[Rule]:
    """The rules for a backbone; those that few families need are imported for them alone."""
    if operators == "gpu":
        from wav2edge_export.rewrite.gpu import gpu_encoder, gpu_feature_encoder  # here: most exports are for CPUs

        yield from (gpu_feature_encoder.RULE, gpu_encoder.RULE)
        return
    yield from RULES[operators]
    adapter = (ADAPTER,) if getattr(config, "add_adapter", False) else ()
    for module in (*OF_FAMILIES.get(family_of(config).name, ()), *adapter):
        yield from import_module(f"{__name__}.{module}").RULES[operators]


def _rules_of_head(model: nn.Module) -> tuple[Rule, ...]:
    """The rules for a head that has layers of its own."""
    if not hasattr(model, "tdnn"):
        return ()
    from wav2edge_export.rewrite.convolutions import time_delay  # here: few models give embeddings

    return (time_delay.RULE,)


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


def _left_over(model: nn.Module, known: tuple[Unchanged | Replaced, ...]) -> list[Unchanged]:
    """The convolutions that no rule knows, outside the parts already reported, which may keep some on purpose."""
    reported = tuple(f"{site.path}." for site in known)
    convolutions = (
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd) and not path.startswith(reported)
    )
    return [
        Unchanged(rule="convolution", path=path, reason="no rule replaces this convolution") for path in convolutions
    ]
