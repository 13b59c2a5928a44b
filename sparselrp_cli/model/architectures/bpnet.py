"""BPNet: dilated residual convolutions with a profile and a count head."""

import torch
from torch import Tensor, nn


class BPNet(nn.Module):
    """BPNet (Avsec et al. 2021, Nat. Genet. 53:354): dilated residual convolutions, profile and count heads.

    Parameters
    ----------
    filters, layers : int
        Channels, and number of residual layers with dilations 2, 4, 8, ...
    tasks : int
    stem_width, profile_width : int
        Widths of the first convolution and of the profile head, in bp.
    count_tasks : int or None
        Tasks of the count head, where they aren't as many as those of the profile.
    trimming : int
        Positions without a profile, at each end, in bp.
    count_margin : int
        How far the positions that the count head averages reach beyond the profile, in bp.
    pre_activation : bool
        Whether a residual layer takes the ReLU of what it adds to, with one more ReLU at the end
        (basepairmodels), instead of adding its own ReLU.
    """

    def __init__(
        self,
        filters: int = 64,
        layers: int = 8,
        tasks: int = 1,
        stem_width: int = 21,
        profile_width: int = 75,
        count_tasks: int | None = None,
        trimming: int = 0,
        count_margin: int = 37,
        pre_activation: bool = False,
    ) -> None:
        super().__init__()
        self.trimming, self.count_margin, self.pre_activation = trimming, count_margin, pre_activation
        self.stem = nn.Conv1d(4, filters, stem_width, padding="same")
        self.residual = nn.ModuleList(
            nn.Conv1d(filters, filters, 3, padding="same", dilation=2**i) for i in range(1, layers + 1)
        )
        self.profile = nn.Conv1d(filters, tasks, profile_width, padding="same")
        self.counts = nn.Linear(filters, tasks if count_tasks is None else count_tasks)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute profile logits (N, T, L - 2 trimming) and log counts (N, T) of windows (N, 4, L)."""
        h = self._body(x)
        start, end = self.trimming, x.shape[2] - self.trimming
        profile = self.profile(h)
        if self.trimming:
            profile = profile[:, :, start:end]
            h = h[:, :, max(start - self.count_margin, 0) : min(end + self.count_margin, x.shape[2])]
        return {"profile": profile, "counts": self.counts(h.mean(2))}

    def _body(self, x: Tensor) -> Tensor:
        h: Tensor = self.stem(x)
        if self.pre_activation:
            for layer in self.residual:
                h = h + layer(torch.relu(h))
            return torch.relu(h)
        h = torch.relu(h)
        for layer in self.residual:
            h = h + torch.relu(layer(h))
        return h
