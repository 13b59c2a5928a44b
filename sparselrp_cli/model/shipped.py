"""Models that come with the package, and their names; no torch, for the command line."""

from pathlib import Path

from sparselrp_cli.files.shipped import shipped

_MODELS = "models"
_SPEC = "model.json"


def shipped_models() -> tuple[str, ...]:
    """Name the models that come with the package, sorted."""
    return tuple(sorted(path.parent.name for path in shipped(_MODELS).glob(f"*/{_SPEC}")))


def place_of_model(reference: str) -> str:
    """Give the folder of a shipped model for its name; what else was typed stays as it is.

    A name is bare: without a slash, and of nothing that lies in the working folder.
    """
    if not is_bare(reference) or Path(reference).exists() or reference not in shipped_models():
        return reference
    return str(shipped(_MODELS) / reference)


def is_shipped(folder: Path) -> bool:
    """Whether a folder is that of a shipped model, and not a copy of it."""
    return folder.resolve().parent == shipped(_MODELS).resolve()


def is_bare(reference: str) -> bool:
    """Whether a reference is one word, as names of shipped models are."""
    return bool(reference) and not {"/", "\\", ":"} & set(reference)
