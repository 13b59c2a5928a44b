"""Models in files that can run code: exported programs and pickled modules, for who trusts them."""

import pickle
import zipfile
from pathlib import Path

import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.neighbours import Neighbours
from sparselrp_cli.model.prints import printing_to_stderr, without_noise
from sparselrp_cli.model.wrappers import unwrapped

TRUSTED_SUFFIXES = (".pt2", ".pt", ".pth", ".pkl", ".torch")
SCRIPT = "{path}: a TorchScript archive; export the original model with torch.export instead"
_SHOWN = 3


def load_trusted(path: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """Load a module from a file, running what code is in it; and say where in the file it was.

    Raises
    ------
    ModelError
        If it is damaged or holds something else.
    """
    # The code of a pickled class may lie in the working folder.
    with printing_to_stderr(), without_noise(), Neighbours(Path()).importable():
        module, key = (_load_program(path), "") if path.suffix == ".pt2" else _load_pickle(path)
    module, notes = unwrapped(module)
    if key:
        notes = (f"the model is taken from '{key}'", *notes)
    return module, tuple(f"{path}: {note}" for note in notes)


def _load_program(path: Path) -> nn.Module:
    try:
        program = torch.export.load(path)
        return program.module(check_guards=False)
    except Exception as error:
        raise ModelError(f"{path}: not a torch.export program, or a damaged one ({error})") from error


def _load_pickle(path: Path) -> tuple[nn.Module, str]:
    if is_script(path):
        raise ModelError(SCRIPT.format(path=path))
    module, key = _only_module(_unpickled(path), path)
    _require_whole(module, path)
    return module, key


def load_objects(path: Path) -> object:
    """Load what torch.save wrote, running what code is in it.

    Raises
    ------
    ModelError
        If it is damaged, or its code isn't there.
    """
    with printing_to_stderr(), without_noise(), Neighbours(Path()).importable():
        return _unpickled(path)


def _unpickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        message = (
            f"{path}: the code of the model isn't importable here ({error}); use FILE.py:FACTORY with -w"
        )
        raise ModelError(message) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a pickled model, or a damaged one ({error})") from error
    # Objects in it do what they like when they are made.
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise ModelError(f"{path}: loading what is pickled in it fails ({what})") from error


def is_script(path: Path) -> bool:
    """Whether a file is what torch.jit.save wrote."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _only_module(loaded: object, path: Path) -> tuple[nn.Module, str]:
    """Give the module, or the only one in a dictionary and its key."""
    if isinstance(loaded, nn.Module):
        return loaded, ""
    if not isinstance(loaded, dict):
        raise ModelError(f"{path}: holds a {type(loaded).__name__}, not a torch.nn.Module")
    modules = {str(key): value for key, value in dict.items(loaded) if isinstance(value, nn.Module)}
    if not modules:
        raise ModelError(f"{path}: holds weights without a model; use FILE.py:FACTORY with -w {path}")
    if len({id(module) for module in modules.values()}) > 1:
        keys = " and ".join(f"'{key}'" for key in list(modules)[:_SHOWN])
        raise ModelError(
            f"{path}: holds {len(modules)} models, at {keys}; save the one you mean alone with torch.save"
        )
    key, module = next(iter(modules.items()))
    return module, key


def _require_whole(module: nn.Module, path: Path) -> None:
    """Refuse a module that was pickled with state that isn't a module's."""
    try:
        for submodule in module.modules():
            tensors = (*submodule.parameters(recurse=False), *submodule.buffers(recurse=False))
            if not isinstance(submodule, nn.Module) or not all(isinstance(t, torch.Tensor) for t in tensors):
                raise TypeError("what stands for a layer or a tensor isn't one")
        dict(module.named_parameters())
        module.state_dict()
    except Exception as error:
        raise ModelError(
            f"{path}: a damaged module, or one pickled by another version of torch"
            f" ({type(error).__name__}: {error}); use FILE.py:FACTORY with -w"
        ) from error
