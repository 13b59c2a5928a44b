"""Attributions handed to what calls motifs: arrays for TF-MoDISco, and our own seqlets."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sparselrp_cli.errors import InputError
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.motifs.null import NoNullError, fit_null
from sparselrp_cli.motifs.seqlets import Seqlets, call_seqlets
from sparselrp_cli.outputs.archive.maps import ArrayMaps
from sparselrp_cli.outputs.formats import ARRAYS
from sparselrp_cli.outputs.motif_files import write_modisco

if TYPE_CHECKING:
    from sparselrp_cli.face.attribution import Attribution

_COLUMNS = ("row", "start", "end", "centre", "relevance", "p", "q")


def maps_of(attribution: "Attribution", name: str) -> ArrayMaps:
    """Give the maps of an attribution as the readers of archives give theirs.

    Raises
    ------
    InputError
        Of images, and of sequences that aren't one-hot.
    """
    if attribution.are_images:
        raise InputError("motifs are of sequences; these are images")
    x = attribution.inputs
    if not bool(((x == 0) | (x == 1)).all() & (x.sum(1) <= 1).all()):
        raise InputError("motifs are of one-hot sequences; these hold other numbers than 0 and 1")
    one_hot = x.detach().cpu().byte().numpy()
    return ArrayMaps(one_hot, attribution.hypothetical.detach().cpu().numpy(), Path(name))


@in_python_words()
def write_arrays(attribution: "Attribution", prefix: Path) -> tuple[Path, Path]:
    """Write the arrays for TF-MoDISco; see `Attribution.to_modisco`."""
    bases, maps = (prefix.with_name(f"{prefix.name}.{ending}") for ending in ARRAYS.endings)
    write_modisco(maps_of(attribution, prefix.name), bases, maps)
    return bases, maps


@in_python_words()
def call(attribution: "Attribution", background: "Attribution | None", fdr: float) -> pd.DataFrame:
    """Call seqlets of both signs; see `Attribution.seqlets`."""
    if not 0 < fdr <= 1:
        raise InputError(f"fdr={fdr!r}: the largest q-value lies above 0 and at most at 1")
    if background is not None and not isinstance(background, type(attribution)):
        raise InputError(
            f"background= is of type {type(background).__name__}; give an Attribution, of shuffled sequences"
        )
    maps = maps_of(attribution, "the attribution")
    null_of = maps if background is None else maps_of(background, "the background")
    kind = "permuted" if background is None else "background"
    found: list[Seqlets] = []
    missing: list[NoNullError] = []
    for sign in (1, -1):
        try:
            null = fit_null(null_of, kind, sign)
        except NoNullError as error:
            missing.append(error)
            continue
        found.append(call_seqlets(maps, null, sign, fdr=fdr))
    if not found:
        raise missing[0]
    tables = [
        pd.DataFrame({**{name: getattr(one, name) for name in _COLUMNS}, "sign": one.sign}) for one in found
    ]
    table = pd.concat(tables, ignore_index=True).rename(columns={"row": "window"})
    order = ["window", "start", "end", "centre", "sign", "relevance", "p", "q"]
    return table.sort_values(["q", "p", "window", "start"], ignore_index=True)[order]
