"""The table of encoders: a family of checkpoints is one entry, of its classes and of where its parts are.

transformers 4.57 names the classes of each family alike, ``WavLMModel`` and ``WavLMAttention`` as ``HubertModel`` and
``HubertAttention`` (``models/*/modeling_*.py``), so an entry names its module and what the names begin with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from wav2edge.bundle.geometry import ConvGeometry
from wav2edge.errors import CheckpointError

MEL_WINDOW, MEL_HOP, MEL_STRIDE = 400, 160, 2
"""Samples in a window of the log-mel features and from one to the next; windows in a frame of the encoder."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """The encoder of a kind of checkpoint.

    Attributes:
        name: ``model_type`` in its configs.
        module: of transformers, below ``transformers.models``.
        prefix: what the names of its classes begin with.
        layers: where its transformer layers are in the backbone.
        feed_forwards: the feed-forwards of a layer, each by its first and its second Linear.
        hears: ``waveform``, or ``log_mel`` features.
        squeezed: its transformer runs at a fraction of the frames.
        leak: how the padding of a batch changes the outputs of a clip, in spite of a mask; None where it does not.
    """

    name: str
    module: str
    prefix: str
    layers: str = "encoder.layers"
    feed_forwards: tuple[tuple[str, str], ...] = (("feed_forward.intermediate_dense", "feed_forward.output_dense"),)
    hears: str = "waveform"
    squeezed: bool = False
    leak: str | None = None

    def find(self, suffix: str) -> type[nn.Module] | None:
        """The class with the family's prefix and this suffix; None where the family has none."""
        found: type[nn.Module] | None = getattr(self._modeling, f"{self.prefix}{suffix}", None)
        return found

    @property
    def _modeling(self) -> Any:
        return import_module(f"transformers.models.{self.module}")

    @property
    def backbone(self) -> type[PreTrainedModel]:
        """The class of the encoder without a head."""
        return cast("type[PreTrainedModel]", self.find("Model"))

    @property
    def pretrained(self) -> type[PreTrainedModel]:
        """The base class of the family's models, which knows how weights are initialised and frames counted."""
        return cast("type[PreTrainedModel]", self.find("PreTrainedModel"))

    @property
    def config(self) -> type[PretrainedConfig]:
        """The class of its configs."""
        return cast("type[PretrainedConfig]", self.backbone.config_class)

    @property
    def attribute(self) -> str:
        """What models with a head call their backbone."""
        return str(self.pretrained.base_model_prefix).replace("-", "_")  # SEW-D's prefix is no name in Python


CONFORMER_FEED_FORWARDS = tuple((f"{name}.intermediate_dense", f"{name}.output_dense") for name in ("ffn1", "ffn2"))
SQUEEZED_LEAK = "the last frames of a clip are squeezed together with its padding"

FAMILIES = {
    family.name: family
    for family in (
        Family(name="wav2vec2", module="wav2vec2.modeling_wav2vec2", prefix="Wav2Vec2"),
        Family(name="hubert", module="hubert.modeling_hubert", prefix="Hubert"),
        Family(name="wavlm", module="wavlm.modeling_wavlm", prefix="WavLM"),
        Family(
            name="data2vec-audio",
            module="data2vec.modeling_data2vec_audio",
            prefix="Data2VecAudio",
            leak="each of its positional convolutions sees what the one below made of padding",
        ),
        Family(name="unispeech", module="unispeech.modeling_unispeech", prefix="UniSpeech"),
        Family(name="unispeech-sat", module="unispeech_sat.modeling_unispeech_sat", prefix="UniSpeechSat"),
        Family(name="sew", module="sew.modeling_sew", prefix="SEW", squeezed=True, leak=SQUEEZED_LEAK),
        Family(
            name="sew-d",
            module="sew_d.modeling_sew_d",
            prefix="SEWD",
            layers="encoder.encoder.layer",
            feed_forwards=(("intermediate.dense", "output.dense"),),
            squeezed=True,
            leak=SQUEEZED_LEAK,
        ),
        Family(
            name="wav2vec2-conformer",
            module="wav2vec2_conformer.modeling_wav2vec2_conformer",
            prefix="Wav2Vec2Conformer",
            feed_forwards=CONFORMER_FEED_FORWARDS,
            leak="the convolution in each of its layers sees what the one below made of padding",
        ),
        Family(
            name="wav2vec2-bert",
            module="wav2vec2_bert.modeling_wav2vec2_bert",
            prefix="Wav2Vec2Bert",
            feed_forwards=CONFORMER_FEED_FORWARDS,
            hears="log_mel",
        ),
    )
}
"""Every family, by the ``model_type`` of its configs."""


def classes(suffix: str, families: Iterable[Family] = tuple(FAMILIES.values())) -> tuple[type[nn.Module], ...]:
    """The classes of the families that have one with this suffix, such as ``Attention``."""
    found = (family.find(suffix) for family in families)
    return tuple(each for each in found if each is not None)


TIME_DELAY = tuple(
    module.TDNNLayer
    for module in (import_module(f"transformers.models.{family.module}") for family in FAMILIES.values())
    if hasattr(module, "TDNNLayer")
)
"""The layer of x-vector heads, of which each family has a copy under the same name."""


def family_of(config: PretrainedConfig) -> Family:
    """The family that a config describes.

    Raises:
        CheckpointError: it describes another kind of model.
    """
    try:
        return FAMILIES[config.model_type]
    except KeyError:
        raise CheckpointError(f"a {config.model_type} model; supported are {', '.join(FAMILIES)}") from None


def backbone_of(model: nn.Module) -> Any:
    """The encoder in a model with any head, or the model itself where it has none.

    Raises:
        CheckpointError: it has no encoder of these families.
    """
    known = classes("Model")
    for module in model.modules():
        if type(module) in known:
            return module
    raise CheckpointError(f"{type(model).__name__} holds no encoder of these families: {', '.join(FAMILIES)}")


def geometry_of(config: PretrainedConfig, *, adapter: bool = True) -> ConvGeometry:
    """How samples become frames of the outputs.

    A convolution of an adapter pads its input; over ``frames + 2 * padding`` a kernel counts as many windows as one
    that is shorter by the padding does over the frames.

    Args:
        config: of the model.
        adapter: count those of the adapter above the encoder, where it has one.

    Raises:
        CheckpointError: its adapter gives more frames than any convolution without padding.
    """
    described: Any = config
    if family_of(config).hears == "log_mel":
        kernels, strides = [MEL_WINDOW, MEL_STRIDE], [MEL_HOP, MEL_STRIDE]
    else:
        kernels, strides = list(described.conv_kernel), list(described.conv_stride)
    if adapter and getattr(described, "add_adapter", False):
        kernel = described.adapter_kernel_size - 2 * adapter_padding(config)
        if kernel < 1:
            raise CheckpointError(
                f"its adapter's kernel of {described.adapter_kernel_size} frames is no longer than its padding; this"
                " cannot be exported"
            )
        kernels += [kernel] * described.num_adapter_layers
        strides += [described.adapter_stride] * described.num_adapter_layers
    return ConvGeometry.of(kernels, strides)


def hears_padding(config: PretrainedConfig) -> bool:
    """Whether an encoder takes a mask: with group norm it was trained without, and never gets one."""
    return getattr(config, "feat_extract_norm", "layer") == "layer"


def padding_is_harmless(config: PretrainedConfig) -> bool:
    """Whether a clip has the outputs in a padded batch that it has alone, as transformers computes them."""
    return hears_padding(config) and family_of(config).leak is None


def shortest_clip(config: PretrainedConfig) -> int:
    """Samples of the shortest clip that a model can answer to: a squeezed encoder needs frames to squeeze."""
    geometry = geometry_of(config)
    fewest = cast(Any, config).squeeze_factor if family_of(config).squeezed else 1
    return geometry.receptive_field + geometry.hop * (fewest - 1)


def adapter_padding(config: PretrainedConfig) -> int:
    """Zeros on either side of an adapter's frames: one, and half the stride in wav2vec2-BERT."""
    described: Any = config
    return described.adapter_stride // 2 if family_of(config).hears == "log_mel" else 1


def layers_of(model: nn.Module) -> Any:
    """The transformer layers of a model, lowest first."""
    backbone = backbone_of(model)
    return backbone.get_submodule(family_of(backbone.config).layers)
