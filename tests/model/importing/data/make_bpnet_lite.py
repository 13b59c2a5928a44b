"""Writes small checkpoints of bpnet-lite, with what it computes for them.

Run where bpnet-lite is installed: `python make_bpnet_lite.py`. The tests don't need it.
Written with bpnet-lite 1.1.0 on torch 2.13.0.
"""

from pathlib import Path

import numpy as np
import torch
from bpnetlite import BPNet, ChromBPNet
from bpnetlite.bpnet import BasePairNet, ControlWrapper

HERE = Path(__file__).parent
rng = np.random.default_rng(3)
torch.manual_seed(3)


def write(name, model, parts):
    """Save a model as bpnet-lite does, and what its parts give for random windows in float64."""
    torch.save(model, HERE / f"bpnet-lite-{name}.torch")
    bases = rng.integers(0, 4, (3, 300), dtype=np.int8)
    x = torch.tensor(np.eye(4)[bases]).transpose(1, 2)
    values = {}
    for part, module in parts.items():
        with torch.no_grad():
            profile, counts = ControlWrapper(module.double())(x)
        values |= {f"{part}profile": profile.numpy(), f"{part}counts": counts.numpy()}
    np.savez_compressed(HERE / f"bpnet-lite-{name}.npz", bases=bases, **values)


if __name__ == "__main__":
    stranded = BPNet(n_filters=4, n_layers=3, n_outputs=2, n_control_tracks=2, profile_output_bias=False)
    write("stranded", stranded, {"": stranded})
    paired = BasePairNet(n_filters=4, n_layers=3, n_outputs=2, n_control_tracks=2, trimming=70)
    write("basepairnet", paired, {"": paired})
    bias = BPNet(n_filters=3, n_layers=2, n_outputs=1, n_control_tracks=0, trimming=80)
    accessibility = BPNet(n_filters=4, n_layers=3, n_outputs=1, n_control_tracks=0, trimming=100)
    whole = ChromBPNet(bias, accessibility, name="whole")
    write("chrombpnet", whole, {"accessibility-": accessibility, "bias-": bias})
    torch.save(accessibility.float().state_dict(), HERE / "bpnet-lite-state-dict.pt")
