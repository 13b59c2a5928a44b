"""`sparselrp.probe`: the job of the command of this name, from Python, and what it found as tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from sparselrp_cli.errors import SettingError, number_of
from sparselrp_cli.face.calling import undisturbed
from sparselrp_cli.face.models import AnyModel
from sparselrp_cli.face.requests import (
    Targets,
    device_of,
    dtype_of,
    models_of,
    path_text,
    request_of,
    targets_of,
)
from sparselrp_cli.face.run import Folder
from sparselrp_cli.face.settings import DEFAULTS, Centre, settings_of
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.files.belonging import listed, read_record
from sparselrp_cli.probing.choices import (
    BACKGROUNDS,
    FARTHEST,
    FIGURES,
    LARGEST_SEED,
    MOST_BACKGROUNDS,
    MOST_ORDERS,
    MOST_SPACINGS,
    SPACINGS,
)
from sparselrp_cli.probing.probe import ProbeOptions
from sparselrp_cli.probing.probe import probe as run_probe
from sparselrp_cli.probing.tables import (
    OF_BACKGROUNDS,
    OF_DELETIONS,
    OF_EFFECTS,
    OF_HITS,
    OF_PAIRS,
    WORDS,
)
from sparselrp_cli.relevance.batching import choose_device
from sparselrp_cli.relevance.choices import Ends, Redistribution
from sparselrp_cli.runs.stopping import StopRequest

COMMAND = ("sparselrp.probe",)
"""What the record of a probe names in the place of a command line."""
Inserts = str | Sequence[str] | Mapping[str, str]
"""Letters or the name of a motif, several, or letters by name."""
Pairs = tuple[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False, repr=False)
class Probe:
    """What a probe found. Its tables are those of the command, by the same columns.

    Attributes
    ----------
    files : tuple of Path
        Tables, figures and, last, the record.
    """

    files: tuple[Path, ...]
    _folder: object = field(default=None)

    def __repr__(self) -> str:
        tables = {"insert": self.effects, "arrangement": self.pairs, "hit": self.hits}
        counts = {name: len(rows) // max(1, rows["target"].nunique()) for name, rows in tables.items()}
        return f"Probe({', '.join(number_of(count, name) for name, count in counts.items() if count)})"

    @property
    def effects(self) -> pd.DataFrame:
        """What each insert does, a row for each target."""
        return self._table("effects", OF_EFFECTS)

    @property
    def backgrounds(self) -> pd.DataFrame:
        """The same in every background."""
        return self._table("backgrounds", OF_BACKGROUNDS)

    @property
    def pairs(self) -> pd.DataFrame:
        """What pairs do together, by orientation and spacing."""
        return self._table("pairs", OF_PAIRS)

    @property
    def hits(self) -> pd.DataFrame:
        """What is lost with each hit that was taken out."""
        return self._table("hits", OF_HITS)

    @property
    def deletions(self) -> pd.DataFrame:
        """Means over the hits of a name."""
        return self._table("deletions", OF_DELETIONS)

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Read a table; one without rows where nothing of the kind was asked."""
        path = next((p for p in self.files if p.name.endswith(f".probe.{name}.tsv")), None)
        if path is None:
            return pd.DataFrame({column: pd.Series(dtype=_type(column)) for column in columns})
        # A motif may be called NA.
        numbers = {column: ["nan"] for column in columns if column not in WORDS}
        words = {column: object for column in columns if column in WORDS}
        return pd.read_csv(path, sep="\t", dtype=words, keep_default_na=False, na_values=numbers)


def probe(
    sequences: str | Path,
    regions: str | Path | None,
    model: AnyModel | Sequence[AnyModel],
    *,
    insert: Inserts = (),
    pair: Pairs = (),
    spacing: int | Sequence[int] = tuple(range(SPACINGS[0], SPACINGS[1] + 1, SPACINGS[2])),
    delete: str | Path | None = None,
    motifs: str | Path | None = None,
    at: int = 0,
    backgrounds: Literal["shuffled", "given"] = "shuffled",
    number: int = 100,
    orders: int = 10,
    seed: int = 0,
    figures: Literal["svg", "png", "pdf", "none"] = "svg",
    target: Targets = None,
    prefix: str | Path | None = None,
    resume: bool | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
    window: int | None = None,
    layout: str | None = None,
    alphabet: str | None = None,
    prune: float | Literal["auto"] = DEFAULTS.prune,
    prune_negative: float | Literal["auto"] | None = DEFAULTS.prune_negative,
    redistribute: Redistribution = DEFAULTS.redistribute,
    composite: str | Path = DEFAULTS.composite,
    select: str | None = DEFAULTS.select,
    centre: Centre = DEFAULTS.centre,
    ends: Ends = DEFAULTS.ends,
    reverse_complement: bool = DEFAULTS.reverse_complement,
    tile_overlap: int | None = DEFAULTS.tile_overlap,
    max_unknown: float = DEFAULTS.max_unknown,
    batch_size: int | None = DEFAULTS.batch_size,
    device: str | torch.device = DEFAULTS.device,
    dtype: str | None = None,
    threads: int | None = DEFAULTS.threads,
    no_cache: bool = DEFAULTS.no_cache,
) -> Probe:
    """Put motifs into sequences, alone and in pairs, take hits out, and ask the model each time.

    What it does is that of ``sparselrp probe``, by the names of its options, with its defaults.

    Parameters
    ----------
    sequences : str or Path
        FASTA: plain, gzip or bgzip.
    regions : str, Path or None
        BED or narrowPeak; None takes the records of `sequences`.
    model : nn.Module, LoadedModel, str, Path, or a sequence of these
        As for `attribute`.
    insert : str, sequence of str, or dict
        Letters, or names of `motifs`; a dict gives letters names. All of `motifs` where nothing is asked.
    pair : tuple of str, or sequence of these
        Two to put in together, in all four orientations at each `spacing`.
    spacing : int or sequence of int
        bp between the two.
    delete : str or Path, optional
        BED of hits, which are taken out of the windows that hold them.
    motifs : str or Path, optional
        A motif file.
    at : int
        Where the middle of what is put in lies, from that of the window, in bp.
    backgrounds : {"shuffled", "given"}
        The windows with their dinucleotides shuffled, or as they are.
    number : int
        How many backgrounds.
    orders : int
        In how many orders the bases of each hit are put.
    seed : int
        Of shuffles, orders and intervals.
    figures : {"svg", "png", "pdf", "none"}
        What is drawn beside the tables, where there is a `prefix`.
    target : str, int, sequence of these, or dict, optional
        As for `attribute`.
    prefix : str or Path, optional
        Where the files are written, as the command's ``-o``. By default the tables lie in a temporary
        folder, which goes with the result.
    resume : bool, optional
        Go on with what an interrupted probe left under `prefix`, or, if False, throw that away.
    weights, trust, window, layout, alphabet
        Of the model, as for `attribute`.
    device, dtype
        By default those of a module, as for `attribute`.

    Returns
    -------
    Probe

    Raises
    ------
    SparselrpError
        With what is wrong, where, and what to do.
    """
    with in_python_words(), ExitStack() as stack:
        models = models_of(model, weights)
        settings = settings_of(
            targets=targets_of(target), prune=prune, prune_negative=prune_negative,
            redistribute=redistribute, composite=composite, select=select, centre=centre, ends=ends,
            reverse_complement=reverse_complement, tile_overlap=tile_overlap, max_unknown=max_unknown,
            batch_size=batch_size, device=device_of(device, models), dtype=dtype_of(dtype, models),
            threads=threads, no_cache=no_cache,
        )  # fmt: skip
        folder = Folder() if prefix is None else None
        options = ProbeOptions(
            sequences=path_text("sequences", sequences),
            prefix=Path(prefix or "") if folder is None else folder.path / "run",
            models=tuple(
                request_of(m, stack, weights, trust=trust, window=window, layout=layout, alphabet=alphabet)
                for m in models
            ),
            settings=settings, regions=_path("regions", regions),
            motifs=_path("motifs", motifs), hits=_path("delete", delete),
            inserts=_inserts(insert), pairs=_pairs(pair), spacings=_spacings(spacing),
            at=_whole("at", at, -FARTHEST, FARTHEST),
            background=_one_of("backgrounds", backgrounds, BACKGROUNDS),
            backgrounds=_whole("number", number, 1, MOST_BACKGROUNDS),
            draws=_whole("orders", orders, 1, MOST_ORDERS),
            seed=_whole("seed", seed, 0, LARGEST_SEED), resume=resume,
            figures=_one_of("figures", figures, FIGURES) if folder is None else "none",
        )  # fmt: skip
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        with undisturbed(choose_device(settings.device)):
            run_probe(options, COMMAND, _without_progress, StopRequest())
        return Probe(_files(options), folder)


@contextmanager
def _without_progress(_: int | None, __: str) -> Iterator[Callable[[int], object]]:
    yield lambda done: None


def _files(options: ProbeOptions) -> tuple[Path, ...]:
    """Give the files that the record of a probe lists, and the record."""
    record = options.path("json")
    return (*(record.with_name(name) for name in listed(read_record(record))), record)


def _path(name: str, path: str | Path | None) -> str | None:
    return None if path is None else path_text(name, path)


def _inserts(insert: Inserts) -> tuple[str, ...]:
    """Give inserts as they are typed."""
    if isinstance(insert, Mapping):
        return tuple(f"{name}={letters}" for name, letters in insert.items())
    return (insert,) if isinstance(insert, str) else tuple(insert)


def _pairs(pair: Pairs) -> tuple[tuple[str, str], ...]:
    """Give pairs, each of two texts."""
    given = [pair] if len(pair) == 2 and all(isinstance(each, str) for each in pair) else list(pair)
    found = [tuple(each) for each in given if not isinstance(each, str)]
    if len(found) != len(given) or any(len(each) != 2 for each in found):
        raise SettingError(f"pair={pair!r}: give two to put in together, or a list of such pairs")
    return tuple((str(left), str(right)) for left, right in found)


def _spacings(spacing: int | Sequence[int]) -> tuple[int, ...]:
    """Give distances, each once."""
    given = tuple(spacing) if isinstance(spacing, Iterable) else (spacing,)
    if not 0 < len(given) <= MOST_SPACINGS:
        raise SettingError(f"spacing= has {len(given)} distances; give from 1 to {MOST_SPACINGS}")
    return tuple(dict.fromkeys(_whole("spacing", each, 0, FARTHEST) for each in given))


def _whole(name: str, value: object, least: int, most: int) -> int:
    """Check a whole number, of Python or NumPy."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise SettingError(f"{name}={value!r}: not a whole number from {least} to {most}")
    return int(value)


def _one_of(name: str, value: str, names: Sequence[str]) -> str:
    if value not in names:
        raise SettingError(f"{name}={value!r}: choose among {', '.join(names)}")
    return value


def _type(column: str) -> type:
    return object if column in WORDS else float
