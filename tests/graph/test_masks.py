"""Masks of torch's own transformers: a causal one is as any other, made in forward or kept as a buffer."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import transformer

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.masks import masks_as_given

CAUSAL = nn.Transformer.generate_square_subsequent_mask


class Encoder(nn.Module):
    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.register_buffer("mask", CAUSAL(6) if kept else None)

    def forward(self, x: Tensor) -> Tensor:
        mask = CAUSAL(6, dtype=x.dtype) if self.mask is None else self.mask
        return self.encoder(x.transpose(1, 2), mask=mask)[:, 2]


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return self.decoder(x, x.flip(1), tgt_mask=CAUSAL(6, dtype=x.dtype))[:, 2]


@pytest.mark.parametrize(
    "module", [Encoder(kept=True), Encoder(kept=False), Decoder()], ids=["kept", "made", "decoder"]
)
def test_a_model_with_a_causal_mask_is_traced_and_computes_the_same(module):
    module = module.double().eval()
    x = torch.randn(3, 4, 6, generator=torch.manual_seed(1)).double()
    graph = capture(module, x[:2])
    assert max(check_against_module(graph, module, x).values()) < 1e-12


def test_what_the_mask_hides_changes_nothing_in_the_graph():
    module = Encoder(kept=True).double().eval()
    x = torch.randn(2, 4, 6, generator=torch.manual_seed(1)).double()
    graph = capture(module, x)
    later = x.clone()
    later[:, :, 3:] = 0
    node = graph.outputs[0].node
    torch.testing.assert_close(graph.outputs_for(x)[node], graph.outputs_for(later)[node])


def test_torch_looks_at_masks_again_afterwards():
    capture(Encoder(kept=True).double().eval(), torch.zeros(2, 4, 6).double())
    assert nn.modules.transformer._detect_is_causal_mask(CAUSAL(6), None, 6)


def test_a_torch_that_looks_at_no_mask_is_left_alone(monkeypatch):
    monkeypatch.delattr(transformer, "_detect_is_causal_mask")
    with masks_as_given():
        assert not hasattr(transformer, "_detect_is_causal_mask")
    assert not hasattr(transformer, "_detect_is_causal_mask")
