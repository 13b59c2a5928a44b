"""Make the files of this folder from their sources; see README.md for where those come from.

python data/make_data.py chr2R.fa SuHw_Kc_Bushey_2009.bed SuHw_Mbn2_Bushey_2009.bed JASPAR2026.sqlite
"""

import argparse
import sqlite3
from pathlib import Path

from Bio import SeqIO, bgzf

HERE = Path(__file__).parent
TEST_START = 15_000_000
LINE = 60


def write_genome(source: Path, target: Path) -> None:
    """Keep the test part; what comes before it becomes N, so that coordinates stay those of dm3."""
    sequence = str(SeqIO.read(source, "fasta").seq)
    masked = "N" * TEST_START + sequence[TEST_START:]
    with bgzf.BgzfWriter(str(target), compresslevel=9) as stream:
        stream.write(b">chr2R\n")
        for start in range(0, len(masked), LINE):
            stream.write(masked[start : start + LINE].encode() + b"\n")


def read_peaks(path: Path) -> list[tuple[int, int]]:
    """Read the peaks on chr2R, 0-based half-open."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return [(int(r[1]), int(r[2])) for r in rows if r and r[0] == "chr2R"]


def merged(peaks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join overlapping peaks."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(peaks):
        if result and start < result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def write_peaks(sources: list[Path], target: Path) -> None:
    """Write the peaks of the test part that either cell type has."""
    peaks = merged([peak for path in sources for peak in read_peaks(path)])
    tested = [peak for peak in peaks if peak[0] >= TEST_START]
    lines = [f"chr2R\t{s}\t{e}\tsuhw_{i}\t0\t." for i, (s, e) in enumerate(tested, 1)]
    target.write_text("\n".join(lines) + "\n")


def write_matrix(database: Path, target: Path) -> None:
    """Write MA0533.1 in JASPAR format."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        number, name = connection.execute(
            "SELECT ID, NAME FROM MATRIX WHERE BASE_ID = 'MA0533' AND VERSION = 1"
        ).fetchone()
        rows = connection.execute("SELECT row, col, val FROM MATRIX_DATA WHERE ID = ?", (number,)).fetchall()
    counts = {(base, int(column)): value for base, column, value in rows}
    width = max(column for _, column in counts)
    lines = [f">MA0533.1\t{name}"]
    for base in "ACGT":
        values = " ".join(f"{counts[base, column]:6.0f}" for column in range(1, width + 1))
        lines.append(f"{base}  [{values} ]")
    target.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("genome", type=Path)
    parser.add_argument("peaks_kc", type=Path)
    parser.add_argument("peaks_mbn2", type=Path)
    parser.add_argument("jaspar", type=Path)
    given = parser.parse_args()
    write_genome(given.genome, HERE / "chr2R-15-21Mb.fa.gz")
    write_peaks([given.peaks_kc, given.peaks_mbn2], HERE / "suhw-peaks.bed")
    write_matrix(given.jaspar, HERE / "suhw-MA0533.1.jaspar")


if __name__ == "__main__":
    main()
