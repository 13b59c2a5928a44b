"""One network of the zoo: how it is built and what is explained of it."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Entry:
    """A network, and the targets that tests explain.

    Attributes
    ----------
    name : str
    make : callable
        Makes the module with PyTorch's own initial weights.
    window : int
        Length of the input in bp.
    targets : str
        As users type them, separated by spaces.
    paper : str
        Who described it; empty where it is a part that many networks have.
    piecewise_linear : bool
        Whether LRP-0 of it is gradient x input.
    axes : str
        The axes of the outputs.
    layout : str
        The axes of the input.
    """

    name: str
    make: Callable[[], nn.Module]
    window: int
    targets: str
    paper: str = ""
    piecewise_linear: bool = False
    axes: str = "NTP"
    layout: str = "NCL"

    def build(self) -> nn.Module:
        """Make the network with weights that depend on nothing but its name: float64, evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(self.name.encode()))
            module = self.make()
            scatter(module)
        return module.double().eval()

    def windows(self, count: int) -> Tensor:
        """Make random one-hot windows, (N, 4, L)."""
        generator = torch.Generator().manual_seed(zlib.crc32(self.name.encode()) + 1)
        bases = torch.randint(4, (count, self.window), generator=generator)
        return functional.one_hot(bases, 4).transpose(1, 2).double()


def scatter(module: nn.Module) -> None:
    """Move every parameter and statistic that starts at exactly 0 or 1, as training would."""
    with torch.no_grad():
        for part in module.modules():
            for name, parameter in part.named_parameters(recurse=False):
                if (parameter == 0).all():
                    parameter.normal_(0, 0.2)
                elif (parameter == 1).all():
                    parameter.uniform_(0.5, 1.5)
                elif name == "bias":
                    parameter.add_(torch.randn_like(parameter) * 0.05)
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
