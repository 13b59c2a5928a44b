"""The engine on classes that others publish, in small configurations with random weights."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.checks import (
    PRUNINGS,
    SETTINGS,
    Case,
    check_accounts,
    check_graph,
    check_relevance_arrives,
    check_rules,
)
from zoo.entry import Entry

MISSING = "comes with the package of its authors, which isn't installed"


def published(name: str) -> Any:
    """Import a package; the warnings of its imports are no affair of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} {MISSING}", exc_type=ImportError)


def bpnet(**options: int) -> nn.Module:
    package = published("bpnetlite")
    return package.BPNet(n_filters=6, n_layers=2, n_outputs=2, trimming=20, verbose=False, **options)


def bpnet_without_control() -> nn.Module:
    return bpnet(n_control_tracks=0)


def bpnet_with_control() -> nn.Module:
    """The tracks of the control experiment are zeros, as users set them to look at the sequence alone."""
    return published("bpnetlite.bpnet").ControlWrapper(bpnet(n_control_tracks=2))


def bpnet_counts() -> nn.Module:
    return published("bpnetlite.bpnet").CountWrapper(bpnet_without_control())


def bpnet_profile() -> nn.Module:
    """The mean of the profile logits, each weighted by its softmax."""
    return published("bpnetlite.bpnet").ProfileWrapper(bpnet_without_control())


def chrombpnet() -> nn.Module:
    package = published("bpnetlite")
    options = {"n_outputs": 1, "n_control_tracks": 0, "verbose": False}
    bias = package.BPNet(n_filters=4, n_layers=1, trimming=10, **options)
    return package.ChromBPNet(bias, package.BPNet(n_filters=6, n_layers=2, trimming=20, **options))


class PositionsFirst(nn.Module):
    """Windows (N, 4, L) for a model that takes (N, L, 4)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return self.model(x.transpose(1, 2))


def enformer() -> nn.Module:
    package = published("enformer_pytorch")
    model = package.Enformer.from_hparams(
        dim=24, depth=1, heads=2, output_heads={"human": 3, "mouse": 2}, target_length=6, attn_dim_key=4,
        num_downsamples=3, dim_divisible_by=4,
    )  # fmt: skip
    return PositionsFirst(model)


def borzoi() -> nn.Module:
    """Its channels before the attention and its 7611 tracks are fixed in the class; three tracks are kept."""
    package = published("borzoi_pytorch")
    model = package.Borzoi.from_hparams(
        dim=32, depth=1, heads=2, attn_dim_key=4, attn_dim_value=4, bins_to_return=12
    )
    model.human_head = nn.Conv1d(model.human_head.in_channels, 3, 1)
    return model


def grelu(name: str, **options: Any) -> Callable[[], nn.Module]:
    """One of gReLU's models; its ExplaiNN can't be made in version 1.1."""
    return lambda: getattr(published("grelu.model.models"), name)(n_tasks=3, **options)


GRELU = {
    "conv": grelu("ConvModel", stem_channels=6, channel_init=6, norm=True, pool_func="max", pool_size=2),
    "dilated": grelu("DilatedConvModel", channels=6, n_conv=2, stem_kernel_size=9),
    "gru": grelu("ConvGRUModel", stem_channels=6, channel_init=6, pool_func="avg", pool_size=4),
    "mlp": grelu("ConvMLPModel", seq_len=64, stem_channels=6, channel_init=6),
    "transformer": grelu(
        "ConvTransformerModel", stem_channels=8, channel_init=8, pool_func="max", pool_size=4
    ),
    "enformer": grelu("EnformerModel", n_conv=4, channels=384, n_transformers=1, n_heads=2, key_len=8),
    "borzoi": grelu(
        "BorzoiModel", stem_channels=64, init_channels=64, channels=128, n_transformers=1, key_len=8,
        value_len=8, n_heads=2, n_pos_features=4, crop_len=0,
    ),
}  # fmt: skip
GRELU_WINDOW = {"dilated": 128, "enformer": 128, "borzoi": 256}

# Borzoi's heads cast to float32 themselves, so a float64 copy of it can't run.
PUBLISHED = (
    (Entry("bpnet-lite", bpnet_without_control, 96, "output0/1@10:20 output1"), torch.float64),
    (Entry("bpnet-lite-control", bpnet_with_control, 96, "output0/0 output1"), torch.float64),
    (Entry("bpnet-lite-counts", bpnet_counts, 96, "0"), torch.float64),
    (Entry("bpnet-lite-profile", bpnet_profile, 96, "0"), torch.float64),
    (Entry("bpnet-lite-chrombpnet", chrombpnet, 96, "output0/0@20:30 output1"), torch.float64),
    (Entry("enformer-pytorch", enformer, 64, "human/1@2:5 mouse/0", axes="NPT"), torch.float64),
    (Entry("borzoi-pytorch", borzoi, 512, "1@3:6"), torch.float32),
    *(
        (Entry(f"grelu-{name}", make, GRELU_WINDOW.get(name, 64), "1"), torch.float64)
        for name, make in GRELU.items()
    ),
)
every_class = pytest.mark.parametrize(
    ("entry", "dtype"), PUBLISHED, ids=[entry.name for entry, _ in PUBLISHED]
)


@functools.cache
def case(entry: Entry, dtype: torch.dtype) -> Case:
    return Case.of(entry.build().to(dtype), entry.windows(2).to(dtype), entry.targets, entry.axes)


@every_class
def test_the_canonical_graph_computes_what_the_class_computes(entry, dtype):
    check_graph(case(entry, dtype))


@every_class
def test_every_operation_of_the_class_has_a_rule(entry, dtype):
    check_rules(case(entry, dtype))


@every_class
def test_relevance_of_the_class_is_conserved_to_the_accounting(entry, dtype):
    for composite, pruning in SETTINGS:
        for explanation in case(entry, dtype).explain(composite, PRUNINGS[pruning]):
            check_accounts(explanation, f"{composite}, pruning {pruning}")


@every_class
def test_relevance_of_the_class_arrives_at_every_window(entry, dtype):
    check_relevance_arrives(case(entry, dtype))
