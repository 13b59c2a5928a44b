"""Load a model in any of its forms: folder, factory with weights, or a file that needs trust."""

import importlib
import importlib.util
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.folder import build, read_spec
from sparselrp_cli.model.inputs import hold_inputs
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.weights import load_weights, put_weights

_TRUSTED_SUFFIXES = (".pt2", ".pt", ".pth", ".pkl")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with what is needed to feed it.

    Attributes
    ----------
    name : str
    module : nn.Module
    window : int
        Window length in bp.
    layout : InputLayout
    outputs : tuple of OutputNames
        As far as the model names them; may be empty.
    files : tuple of Path
        What it was made from.
    """

    name: str
    module: nn.Module
    window: int
    layout: InputLayout
    outputs: tuple[OutputNames, ...]
    files: tuple[Path, ...]

    def example(self, n_samples: int = 2) -> torch.Tensor:
        """Make a random one-hot input, the same each time, as the model takes it."""
        generator = torch.Generator().manual_seed(0)
        bases = torch.randint(4, (n_samples, self.window), generator=generator)
        one_hot = nn.functional.one_hot(bases, 4).transpose(1, 2).contiguous()
        return self.layout.to_model(one_hot.to(module_dtype(self.module)))


def module_dtype(module: nn.Module) -> torch.dtype:
    """Give the floating-point type of a module's parameters."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def load_model(request: ModelRequest) -> LoadedModel:
    """Load a model.

    Raises
    ------
    ModelError
        With one line on what is wrong and what to do.
    """
    model = _load(request)
    for submodule in model.module.modules():  # what .eval() does; exported programs refuse the call
        submodule.training = False
    layout = InputLayout(request.alphabet or model.layout.alphabet, request.layout or model.layout.layout)  # type: ignore[arg-type]
    window = request.window or model.window
    if not window:
        raise ModelError(f"model '{model.name}' doesn't say its window length; give it with --window")
    module = hold_inputs(model.module, request.inputs, module_dtype(model.module))
    return replace(model, module=module, layout=layout, window=window)


def _load(request: ModelRequest) -> LoadedModel:
    path = Path(request.reference)
    if path.is_dir() or path.name == "model.json":
        return _load_folder(path if path.name == "model.json" else path / "model.json", request)
    if path.suffix in _TRUSTED_SUFFIXES and ":" not in path.name:
        return _load_trusted(path, request)
    if ":" in request.reference:
        return _load_factory(request)
    if path.is_file():
        raise ModelError(f"{path}: not a model; give a model folder, FILE.py:FACTORY, or a .pt2 or .pt file")
    raise ModelError(f"{path}: no such model folder or file")


def _load_folder(path: Path, request: ModelRequest) -> LoadedModel:
    if not path.is_file():
        raise ModelError(f"{path.parent}: no model.json in it, so not a model folder")
    if request.weights is not None:
        raise ModelError("--weights goes with a factory; a model folder brings its own")
    spec = read_spec(path)
    module = build(spec, path)
    layout = InputLayout(spec.alphabet, spec.layout)  # type: ignore[arg-type]
    files = (path, path.parent / spec.weights)
    return LoadedModel(spec.name, module, spec.window, layout, spec.outputs, files)


def _load_factory(request: ModelRequest) -> LoadedModel:
    place, _, name = request.reference.rpartition(":")
    code = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    factory = getattr(code, name, None)
    if not callable(factory):
        raise ModelError(f"{request.reference}: {place} has no function or class '{name}'")
    module = _call(factory, request.reference)
    files = [Path(place)] if place.endswith(".py") else []
    if request.weights is not None:
        put_weights(module, load_weights(request.weights), request.weights)
        files.append(request.weights)
    return LoadedModel(name, module, _own_window(module), InputLayout(), (), tuple(files))


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"{path}: no such Python file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: can't be imported as Python")
    code = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, code)
    try:
        spec.loader.exec_module(code)
    except Exception as error:
        raise ModelError(f"{path}: importing it fails: {type(error).__name__}: {error}") from error
    return code


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ModelError(f"module '{name}' can't be imported: {type(error).__name__}: {error}") from error


def _call(factory: Callable[[], object], reference: str) -> nn.Module:
    try:
        module = factory()
    except Exception as error:
        message = f"{reference}: calling it without arguments fails: {type(error).__name__}: {error}"
        raise ModelError(message) from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{reference}: gives a {type(module).__name__}, not a torch.nn.Module")
    return module


def _own_window(module: nn.Module) -> int:
    window = getattr(module, "window", 0)
    return window if isinstance(window, int) and window > 0 else 0


def _load_trusted(path: Path, request: ModelRequest) -> LoadedModel:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if not request.trust:
        raise ModelError(
            f"{path}: loading this file can run code that is inside it; if you trust where it comes from, add"
            " --trust-model"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = _load_program(path) if path.suffix == ".pt2" else _load_pickle(path)
    return LoadedModel(path.stem, module, _own_window(module), InputLayout(), (), (path,))


def _load_program(path: Path) -> nn.Module:
    try:
        program = torch.export.load(path)
        return program.module(check_guards=False)
    except Exception as error:
        raise ModelError(f"{path}: not a torch.export program, or a damaged one ({error})") from error


def _load_pickle(path: Path) -> nn.Module:
    if zipfile.is_zipfile(path) and any(
        n.endswith("/constants.pkl") for n in zipfile.ZipFile(path).namelist()
    ):
        raise ModelError(
            f"{path}: a TorchScript archive; export the original model with torch.export instead"
        )
    try:
        module = torch.load(path, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a pickled model, or a damaged one ({error})") from error
    except (AttributeError, ImportError) as error:
        message = (
            f"{path}: the code of the model isn't importable here ({error}); use FILE.py:FACTORY with -w"
        )
        raise ModelError(message) from error
    if isinstance(module, dict):
        raise ModelError(f"{path}: holds weights without a model; use FILE.py:FACTORY with -w {path}")
    if not isinstance(module, nn.Module):
        raise ModelError(f"{path}: holds a {type(module).__name__}, not a torch.nn.Module")
    return module
