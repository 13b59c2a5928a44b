"""Shards of one run put together: the files of the whole run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.files.belonging import manifest_path, read_record, why_not
from sparselrp_cli.files.cores import usable_cores
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block, Packer
from sparselrp_cli.outputs.archive.joining import joined_blocks
from sparselrp_cli.outputs.export import ShardFiles
from sparselrp_cli.outputs.formats import standard_formats
from sparselrp_cli.outputs.tables import read_skipped
from sparselrp_cli.runs.file_set import own_files
from sparselrp_cli.runs.run_files import RunHeader, RunSummary, path_of, write_files
from sparselrp_cli.runs.totals import Totals
from sparselrp_cli.settings.kinds import Shard
from sparselrp_cli.settings.manifest import Manifest, Outcome, difference
from sparselrp_cli.settings.reading import WrongValueError

TRACK = ".bw"


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A shard: its archive, and what its manifest says."""

    reader: ArchiveReader
    shard: Shard
    manifest: Manifest
    outcome: Outcome

    @property
    def path(self) -> Path:
        return self.reader.path

    @property
    def prefix(self) -> Path:
        return self.path.with_suffix("")

    @property
    def skipped(self) -> Path:
        return path_of(self.prefix, ".skipped.tsv")

    @property
    def whole(self) -> Manifest:
        """What identifies the run, without what differs between its shards."""
        return replace(self.manifest, settings=self.manifest.settings.without_shard(), outcome=None)

    def as_written(self, *, tracks: bool) -> frozenset[str]:
        """Name the archive, and the tracks if asked, as far as they are as the shard's run left them.

        That is told by the SHA-256 in the record beside them. What `export` made may be of another policy.
        """
        record = read_record(manifest_path(self.prefix))
        files = own_files(record) if record is not None else {}
        asked = [name for name in files if name == self.path.name or (tracks and name.endswith(TRACK))]
        return frozenset(name for name in asked if not why_not(self.path.with_name(name), files))


def merge(
    archives: Sequence[Path],
    prefix: Path,
    formats: Sequence[str],
    overlap: str,
    command: Sequence[str],
) -> RunSummary:
    """Write the files of the whole run, from its shards in any order.

    The bytes are those of the run without ``--shard``, but for the command line in ``PREFIX.manifest.json``.

    Parameters
    ----------
    archives : sequence of Path
        ``SHARD.h5``, each with its ``SHARD.skipped.tsv``.
    formats : sequence of str
        If empty, what `attribute` would write.

    Raises
    ------
    InputError
        If a shard is missing, there twice, or of another run.
    OutputError
        If a file can't be read or written.
    """
    with ExitStack() as stack:
        stack.enter_context(locked(prefix))
        pieces = _ordered([_piece(stack.enter_context(ArchiveReader(path))) for path in archives])
        for piece in pieces:
            if piece.path.resolve() == path_of(prefix, ".h5").resolve():
                raise InputError(f"{piece.path} is a shard and would be replaced; choose another --output")
        _require_one_run(pieces)
        first = pieces[0]
        whole, reader = first.whole, first.reader
        wanted = tuple(formats or standard_formats(on_genome=whole.on_genome))
        manifest = replace(whole, settings=replace(whole.settings, overlap=overlap, formats=wanted))
        shape = ArchiveShape(
            reader.window_length, tuple(reader.target_names), reader.dtype.name, reader.has_spread,
            reader.has_blocks,
        )  # fmt: skip
        totals = Totals(
            shape.target_names,
            ambiguous=sum(piece.outcome.ambiguous_bases for piece in pieces),
            agreement=next(filter(None, (piece.outcome.agreement for piece in pieces)), None),
        )
        if not any(piece.reader.n_windows for piece in pieces):
            raise InputError("none of the shards has a window; see their .skipped.tsv for the reasons")
        header = RunHeader(prefix, shape, manifest, reader.chrom_sizes, totals, command)
        names = [piece.as_written(tracks="bigwig" in wanted) for piece in pieces]
        copied = all(piece.path.name in known for piece, known in zip(pieces, names, strict=True))
        blocks = _blocks(pieces, shape, path_of(prefix, ".h5"), copied=copied)
        shards = [
            ShardFiles(piece.prefix, piece.reader.n_windows, known)
            for piece, known in zip(pieces, names, strict=True)
            if copied and piece.manifest.settings.overlap == overlap
        ]
        return write_files(header, blocks, shards=shards if len(shards) == len(pieces) else [])


def _piece(reader: ArchiveReader) -> _Piece:
    try:
        manifest = Manifest.from_json(reader.manifest)
    except WrongValueError as error:
        raise InputError(
            f"{reader.path}: its manifest is damaged ({error}); copy it again, or run the shard again"
        ) from error
    shard, outcome = manifest.settings.shard, manifest.outcome
    if shard is None or outcome is None:
        raise InputError(f"{reader.path} isn't a shard; give what `sparselrp attribute --shard I/N` wrote")
    return _Piece(reader, shard, manifest, outcome)


def _ordered(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Put shards in order, each once."""
    first = pieces[0]
    by_index: dict[int, _Piece] = {}
    for piece in pieces:
        if piece.shard.of != first.shard.of:
            raise InputError(
                f"{piece.path} is shard {piece.shard} and {first.path} is shard {first.shard}; give the"
                " shards of one run"
            )
        if other := by_index.get(piece.shard.index):
            raise InputError(f"{piece.path} and {other.path} are both shard {piece.shard}; give each once")
        by_index[piece.shard.index] = piece
    missing = (i for i in range(1, first.shard.of + 1) if i not in by_index)
    if number := next(missing, 0):
        n_missing = first.shard.of - len(by_index)
        others = f" and {n_missing - 1} more" if n_missing > 1 else ""
        raise InputError(f"shard {number}/{first.shard.of}{others} is missing; run it, or name its .h5 too")
    return [by_index[i] for i in sorted(by_index)]


def _require_one_run(pieces: Sequence[_Piece]) -> None:
    first = pieces[0].whole.to_json()
    for piece in pieces[1:]:
        if other := difference(first, piece.whole.to_json()):
            raise InputError(
                f"{piece.path} is of another run than {pieces[0].path}: {other}; make the shards with"
                " the same inputs and options"
            )
        if list(piece.reader.chrom_sizes.items()) != list(pieces[0].reader.chrom_sizes.items()):
            raise InputError(f"{piece.path} and {pieces[0].path} are on genomes with other chromosomes")


def _blocks(
    pieces: Sequence[_Piece], shape: ArchiveShape, path: Path, *, copied: bool
) -> Iterator[tuple[Block | None, list[tuple[str, ...]]]]:
    """Give the rows of all shards, and the lines of what they skipped."""
    for piece in pieces:
        lines = list(read_skipped(piece.skipped))
        known = piece.outcome.skipped_sha256
        if len(lines) != piece.outcome.skipped or known not in (None, sha256(piece.skipped)):
            raise OutputError(f"{piece.skipped} doesn't belong to {piece.path}; copy both again")
        yield None, lines
    readers = [piece.reader for piece in pieces]
    blocks = joined_blocks(readers, shape, usable_cores()) if copied else _repacked(readers, shape, path)
    for block in blocks:
        yield block, []


def _repacked(readers: Sequence[ArchiveReader], shape: ArchiveShape, path: Path) -> Iterator[Block]:
    """Unpack everything, which finds out what is damaged, and pack it again."""
    packer = Packer(shape, path, threads=usable_cores())
    for reader in readers:
        for rows in reader.chunks(shape.block_rows):
            yield from packer.add(reader.rows(rows))
    yield from packer.flush()
