"""Time of the selection alone: which neurons stay, and their scale, for one layer of random relevance.

    python benchmarks/selection.py --save

As ratios to `torch.sort` of the same relevance. The relevance is that of a rectified layer: half of it zero.
"""

import statistics

import pandas as pd
import torch
from common import interleaved, parser, ratios, save

from sparselrp_cli.relevance.pruning import Pruning, kept, survivors_scale

LAYERS = {"Basset-like 300x1000": 300_000, "BPNet-like 64x2114": 135_296, "CI-SpliceAI 32x10001": 320_032}


def main() -> None:
    given = parser(__doc__).parse_args()
    device = torch.device(given.device)
    rows = []
    for layer, neurons in LAYERS.items():
        for batch in (1, 8):
            generator = torch.Generator().manual_seed(0)
            a = torch.randn(batch, neurons, generator=generator).relu().to(device)
            c = torch.randn(batch, neurons, generator=generator).to(device)

            def by_sorting(a: torch.Tensor = a, c: torch.Tensor = c) -> torch.Tensor:
                relevance = a * c
                factors, _ = survivors_scale(relevance, kept(relevance, 0.25, 0.125))
                return c * factors

            runs = {
                "torch.sort": lambda a=a, c=c: torch.sort(a * c, dim=1),
                "a copy": c.clone,
                "pruning with plain torch": by_sorting,
                "pruning, compiled": lambda a=a, c=c: Pruning(0.25).scale(a, c),
            }
            times = interleaved(runs, given.repeats, device)
            sort = 1000 * statistics.median(times["torch.sort"]) / batch
            row = {"layer": layer, "batch": batch, "torch.sort, ms a sample": sort}
            rows.append({**row, **ratios(times, "torch.sort")})
    print(pd.DataFrame(rows).set_index(["layer", "batch"]).T.to_string(float_format="%.3f"))
    if given.save:
        save("selection", rows, device)


if __name__ == "__main__":
    main()
