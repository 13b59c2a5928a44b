"""Files that come with the package: below it where it is installed, beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shipped(place: str) -> Path:
    """Give a file or folder that comes with the package.

    Parameters
    ----------
    place : str
        Where it lies in a checkout, such as ``models/suhw-dm3``; pyproject.toml lists what a wheel holds.
    """
    installed = _PACKAGE / "shipped"
    return (installed if installed.is_dir() else _PACKAGE.parent) / place
