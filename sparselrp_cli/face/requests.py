"""What a run is asked for from Python, as the command line says it: models, targets, device and type."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from numbers import Integral
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sparselrp_cli.errors import InputError, SettingError, TargetError
from sparselrp_cli.face.models import AnyModel, as_model, write_folder
from sparselrp_cli.face.settings import DEFAULTS
from sparselrp_cli.model.loading import LoadedModel, module_device, module_dtype
from sparselrp_cli.model.request import ModelRequest

Target = str | int
"""An expression, or the number of a task."""
Targets = Target | Sequence[Target] | Mapping[str, Target] | None
"""A target, several, or targets by name; None where the model gives a single number."""


def models_of(model: AnyModel | Sequence[AnyModel], weights: object) -> tuple[AnyModel, ...]:
    """Give the models of a run as a list."""
    if isinstance(model, (str, Path, nn.Module, LoadedModel)):
        return (model,)
    if not isinstance(model, Sequence) or not model:
        raise SettingError(
            f"model={model!r}: give a module, what load_model gives, a path, or a list of these"
        )
    if weights is not None:
        raise SettingError("weights= goes with one model; load several with sparselrp.load_model")
    return tuple(model)


def targets_of(target: Targets) -> object:
    """Give targets as a manifest has them."""
    if target is None:
        return []
    if isinstance(target, Mapping):
        return [{"name": name, "expression": _expression(each)} for name, each in target.items()]
    if isinstance(target, Sequence) and not isinstance(target, str):
        return [_expression(each) for each in target]
    return [_expression(target)]


def _expression(target: object) -> str:
    if isinstance(target, bool) or not isinstance(target, (str, Integral)):
        raise TargetError(f"target={target!r}: give a text such as '1-0', or the number of a task")
    return str(target)


def path_text(name: str, path: str | Path | None) -> str:
    """Give the path of a file as it is typed.

    Raises
    ------
    InputError
        If it is something else, such as the content of the file.
    """
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"{name}= is of type {type(path).__name__}; give the path of a file")
    return str(path)


def _module(model: AnyModel) -> nn.Module | None:
    """Give the module of a model that is in memory."""
    if isinstance(model, LoadedModel):
        return model.module
    return model if isinstance(model, nn.Module) else None


def device_of(device: str | torch.device, models: Sequence[AnyModel]) -> str:
    """Take the device of the first module, where none is asked for."""
    module = _module(models[0])
    if device == DEFAULTS.device and module is not None:
        return str(module_device(module))
    return str(device)


def dtype_of(dtype: str | None, models: Sequence[AnyModel]) -> str:
    """Take float64 where the first module has it, and none is asked for."""
    module = _module(models[0])
    if dtype is None and module is not None and module_dtype(module) == torch.float64:
        return "float64"
    return DEFAULTS.dtype if dtype is None else dtype


def request_of(
    model: AnyModel, stack: ExitStack, weights: str | Path | None, *, trust: bool, window: int | None,
    layout: str | None, alphabet: str | None,
) -> ModelRequest:  # fmt: skip
    """Name a model as the command line does; one that is in memory is packed into a folder first."""
    if isinstance(model, (str, Path)):
        path = None if weights is None else Path(weights)
        return ModelRequest(str(model), path, window, alphabet, layout, trust)
    if weights is not None or trust:
        raise SettingError("weights= and trust= go with a factory or a file, not with a module")
    loaded = as_model(model, window=window, layout=layout, alphabet=alphabet)
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="sparselrp-"))) / "model"
    write_folder(loaded, folder)
    return ModelRequest(str(folder))
