"""The composite a user names: a preset, or a TOML file."""

from pathlib import Path

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.relevance.composite_text import parse_composite
from sparselrp_cli.relevance.composites import PRESETS, Composite

_MAX_BYTES = 1 << 20


def find_composite(name: str) -> Composite:
    """Give a preset by name, or read a TOML file.

    Raises
    ------
    CompositeError
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise CompositeError(f"composite '{name}': neither a file nor one of {', '.join(PRESETS)}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CompositeError(f"{path}: larger than 1 MiB, so not a composite")
        return parse_composite(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise CompositeError(f"{path}: can't be read ({error})") from error
