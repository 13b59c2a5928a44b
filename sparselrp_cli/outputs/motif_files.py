"""Files for motif discovery: arrays for TF-MoDISco, regions for Fi-NeMo."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.hdf5 import created
from sparselrp_cli.files.names import field
from sparselrp_cli.outputs.archive.layout import GZIP_LEVEL, chunk_rows
from sparselrp_cli.outputs.archive.maps import WindowMaps
from sparselrp_cli.outputs.archive.reader import ArchiveReader
from sparselrp_cli.outputs.archive.rows import Bases, Doubles, Reals, Rows
from sparselrp_cli.sequences.windows import Window

# Of the small contributions. On planted motifs with 95 and 97 % zeros this finds the patterns of the map
# before the zeros were made; noise much smaller than what was kept leaves a gap, in which TF-MoDISco puts its
# threshold, and it finds several times as many (benchmarks/evidence/handover.py --remedies).
NOISE = 0.5
SEED = 0


def write_modisco(
    reader: WindowMaps, ohe_path: Path | str, attr_path: Path | str, target: int = 0, seed: int = SEED
) -> None:
    """Write one-hot sequences and hypothetical contributions for ``modisco motifs -s -a``.

    Both files have the key ``arr_0``, shape (N, 4, L), A C G T; uint8 and float32. TF-MoDISco fits a
    distribution to the contributions and fails, or finds too much, where most are exactly zero, as after
    pruning. Where the contribution of an observed base is exactly zero it gets Gaussian noise instead: half
    of a small contribution (`small_magnitude`), dependent on the seed and the row only. Nothing else is
    changed.

    Parameters
    ----------
    reader : WindowMaps
    ohe_path, attr_path : Path or str
    target : int
    seed : int

    Raises
    ------
    OutputError
        If a file can't be written.
    """
    shape = (reader.n_windows, 4, reader.window_length)
    one_hot = (reader.read(rows, target)[0] for rows in reader.chunks())
    _write_npz(ohe_path, shape, np.dtype(np.uint8), one_hot)
    dense = (maps for _, _, maps in _handed_over(reader, target, seed))
    _write_npz(attr_path, shape, np.dtype(np.float32), dense)


def write_modisco_h5(reader: WindowMaps, path: Path | str, target: int = 0, seed: int = SEED) -> None:
    """Write the numbers of `write_modisco` as the one file that ``modisco motifs -i`` reads.

    Datasets ``input_seqs`` (uint8) and ``hyp_scores`` (float32), shape (N, L, 4), of one target. The archive
    has the same names, but its zeros are exact, and of several targets it has all.

    Parameters
    ----------
    reader : WindowMaps
    path : Path or str
    target : int
    seed : int

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    shape = (reader.n_windows, reader.window_length, 4)
    tail = shape[1:]
    with replacing(path) as hidden, created(hidden) as output:
        bases, scores = (
            output.file.create_dataset(
                name, shape, dtype, maxshape=(None, *tail), chunks=(chunk_rows(reader.window_length), *tail),
                compression="gzip", compression_opts=GZIP_LEVEL, shuffle=dtype == np.float32,
                track_times=False,
            )
            for name, dtype in (("input_seqs", np.uint8), ("hyp_scores", np.float32))
        )  # fmt: skip
        for rows, one_hot, maps in _handed_over(reader, target, seed):
            bases[rows], scores[rows] = one_hot.swapaxes(1, 2), maps.swapaxes(1, 2)
            output.require_written()


def _handed_over(reader: WindowMaps, target: int, seed: int) -> Iterator[tuple[slice, Bases, Reals]]:
    """Give rows with their one-hot bases and with maps that have noise in the place of zeros."""
    scale = NOISE * small_magnitude(reader, target)
    for rows in reader.chunks():
        one_hot, hypothetical = reader.read(rows, target)
        maps = without_zeros(one_hot, hypothetical, first_row=rows.start, scale=scale, seed=seed)
        yield rows, one_hot, maps


def without_zeros(one_hot: Bases, hypothetical: Reals, *, first_row: int, scale: float, seed: int) -> Reals:
    """Put noise in the place of contributions that are exactly zero.

    Parameters
    ----------
    one_hot, hypothetical : ndarray, shape (n, 4, L)
    first_row : int
        Which row of the archive the first is.
    scale : float
        Standard deviation of the noise.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n, 4, L)
    """
    values: Reals = hypothetical.astype(np.float32)
    noise = np.stack([_noise(seed, first_row + i, values.shape[2]) for i in range(len(values))])
    zeros = (one_hot != 0) & (values == 0)
    np.copyto(values, (scale * noise)[:, np.newaxis], where=zeros, casting="same_kind")
    return values


def small_magnitude(reader: WindowMaps, target: int = 0) -> float:
    """Give the magnitude that one in ten non-zero contributions doesn't exceed, in constant memory.

    It is right within 1 %, and 0 where all are zero. The smallest alone would be an outlier. The upper half
    of the bits of a float32 orders magnitudes to within 1/128, so that counting those is enough.
    """
    counts = np.zeros(1 << 15, np.int64)
    for rows in reader.chunks():
        bits = np.abs(reader.contributions(rows, target).astype(np.float32)).view(np.uint32)
        counts += np.bincount(bits[bits != 0] >> 16, minlength=len(counts))
    if not counts.any():
        return 0.0
    below = np.cumsum(counts)
    upper_half = np.searchsorted(below, -(-below[-1] // 10))
    return float(np.array(upper_half << 16, np.uint32).view(np.float32))


def write_regions(reader: ArchiveReader, path: Path | str) -> None:
    """Write the windows as narrowPeak for Fi-NeMo: a line per row of the arrays, in their order, no header.

    `start` and `end` are the part of the window that lies on the chromosome, because bedtools refuses a
    negative start; ``start + col10`` is always the centre of the whole window, ``L // 2`` behind its first
    base, which is what Fi-NeMo goes by.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    write_narrow_peaks(reader, path, reader.chunks())


def write_narrow_peaks(reader: ArchiveReader, path: Path | str, parts: Iterable[Rows]) -> None:
    """Write some windows as narrowPeak, part by part; see `write_regions`."""
    sizes = reader.chrom_sizes
    with (
        replacing(path) as hidden,
        hidden.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
    ):
        for rows in parts:
            for window in reader.windows(rows):
                file.write(narrow_peak(window, sizes[window.chrom]))


def narrow_peak(window: Window, size: int) -> str:
    """Give a window on a chromosome of `size` bp as a line of narrowPeak, see `write_regions`."""
    start, end = max(0, window.start), min(window.end, size)
    summit = window.start + (window.end - window.start) // 2 - start
    place = f"{field(window.chrom)}\t{start}\t{end}\t{field(window.name)}"
    return f"{place}\t0\t{window.strand}\t0\t-1\t-1\t{summit}\n"


def _noise(seed: int, row: int, length: int) -> Doubles:
    return np.random.Generator(np.random.Philox(key=[seed, row])).standard_normal(length)


def _write_npz(
    path: Path | str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[npt.NDArray[Any]]
) -> None:
    """Write one array, in parts along its first axis, as `numpy.savez_compressed` does, but with no time."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with (
        replacing(path) as hidden,
        # A member opened by its name is dated 1980. Noise is hardly smaller at a higher level.
        zipfile.ZipFile(hidden, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("arr_0.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype).tobytes())
