"""Archives of noise with planted sites."""

import numpy as np
from helpers.archives import write_archive

from sparselrp_cli.outputs.archive import ACCOUNTING, ArchivedWindow, ArchiveRows

LENGTH = 200
SITES = ("TTGTTGCATACTTT", "GGCGCCATCTAG")


def planted_rows(n, sites=SITES, seed=0, spacing=LENGTH, sign=1):
    """Rows with a site in two of three windows, either strand, and where those are: (row, start, end)."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, LENGTH))
    values = rng.normal(0, 0.1, (n, LENGTH))
    places = []
    for row in range(n):
        if not sites or row % 3 == 0:
            continue
        site = np.array(["ACGT".index(base) for base in sites[row % len(sites)]])
        if rng.random() < 0.5:
            site = 3 - site[::-1]
        start = int(rng.integers(0, LENGTH - len(site)))
        codes[row, start : start + len(site)] = site
        values[row, start : start + len(site)] += sign * rng.lognormal(0, 0.2)
        places.append((row, start, start + len(site)))
    one_hot = (codes[:, None] == np.arange(4)[:, None]).astype(np.uint8)
    windows = [ArchivedWindow("chr", i * spacing, i * spacing + LENGTH, f"w{i}", "+", i) for i in range(n)]
    maps = (one_hot * values[:, None])[None]
    accounts = {name: np.zeros((1, n)) for name in ACCOUNTING}
    accounts["score"][0] = values.sum(axis=1)
    return ArchiveRows(windows, one_hot, maps, accounts, np.zeros(n, np.int64)), places


def planted_archive(path, n=150, **options):
    """An archive of such rows, and where the sites are."""
    rows, places = planted_rows(n, **options)
    return write_archive(path, rows, sizes={"chr": 10**6}), places
