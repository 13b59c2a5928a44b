"""bigWigs, written from arrays; `writer` says what stands in a file."""

from sparselrp_cli.outputs.bigwig.joining import ShardTrack, write_joined
from sparselrp_cli.outputs.bigwig.reading import ForeignTrackError
from sparselrp_cli.outputs.bigwig.writer import write_runs

__all__ = ["ForeignTrackError", "ShardTrack", "write_joined", "write_runs"]
