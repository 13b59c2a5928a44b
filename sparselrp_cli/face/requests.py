"""What a run is asked for from Python, as the command line says it: models, targets, device and type."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from sparselrp_cli.errors import SettingError
from sparselrp_cli.face.models import AnyModel, as_model, write_folder
from sparselrp_cli.face.settings import DEFAULTS
from sparselrp_cli.model.loading import LoadedModel, module_device, module_dtype
from sparselrp_cli.model.request import ModelRequest

Targets = str | Sequence[str] | Mapping[str, str] | None
"""A target, several, or expressions by name; None where the model gives a single number."""


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
    if isinstance(target, str):
        return [target]
    if isinstance(target, Mapping):
        return [{"name": name, "expression": expression} for name, expression in target.items()]
    return list(target)


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
