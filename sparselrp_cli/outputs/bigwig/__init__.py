"""bigWigs, written from arrays; `writer` says what stands in a file."""

from sparselrp_cli.outputs.bigwig.writer import write_runs

__all__ = ["write_runs"]
