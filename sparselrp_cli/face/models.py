"""Models for Python: loaded in any form that the command line takes, and packed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.face.calling import apart_model, undisturbed
from sparselrp_cli.face.inputs import Layout
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.graph.loaded import load_model as load
from sparselrp_cli.model.finite import require_finite
from sparselrp_cli.model.forms import InForm
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel, module_device, own_window
from sparselrp_cli.model.output_names import own_names
from sparselrp_cli.model.request import LONGEST_WINDOW, ModelRequest
from sparselrp_cli.model.wrappers import unwrapped
from sparselrp_cli.runs.pack import pack_model

AnyModel: TypeAlias = nn.Module | LoadedModel | str | Path
"""A module, what `load_model` gives, or what the command line takes with ``-m``."""


def load_model(
    reference: str | Path,
    weights: str | Path | None = None,
    *,
    trust: bool = False,
    window: int | None = None,
    alphabet: str | None = None,
    layout: str | None = None,
    inputs: Sequence[str] = (),
    model_class: str | None = None,
    tokens: str | None = None,
) -> LoadedModel:
    """Load a model in any form that the command line takes with ``-m``.

    Parameters
    ----------
    reference : str or Path
        A model folder, ``package.module:factory``, ``file.py:factory``, or with `trust` a file of a module.
    weights : str or Path, optional
        For a factory: ``.safetensors``, or a state dict.
    trust : bool
        Whether a file may be loaded that can run code.
    window : int, optional
        Window length in bp, where the model doesn't say it.
    alphabet, layout : str, optional
        The order of bases and of axes that the model takes.
    inputs : sequence of str
        Other inputs, held constant: ``"control=2x2114:0"``.
    model_class : str, optional
        Of a Lightning checkpoint: ``file.py:Class``.
    tokens : str, optional
        Of a model of ids: its tokens.

    Returns
    -------
    LoadedModel
        With the `module`, its `window`, and the names of its outputs. `PLRP`, `inspect` and `pack` take it.

    Raises
    ------
    ModelError
        With what is wrong and what to do.
    """
    request = ModelRequest(
        str(reference), None if weights is None else Path(weights), window, alphabet, layout, trust,
        tuple(inputs), model_class, tokens=tokens,
    )  # fmt: skip
    with in_python_words(), undisturbed(torch.device("cpu")):
        return load(request)


def pack(
    net: AnyModel,
    folder: str | Path,
    *,
    window: int | None = None,
    name: str | None = None,
    layout: str | None = None,
    alphabet: str | None = None,
    force: bool = False,
) -> Path:
    """Write what a model computes to a folder that every command takes with ``-m``, without its code.

    Parameters
    ----------
    net : nn.Module, LoadedModel, str or Path
    folder : str or Path
    window : int, optional
        Window length in bp, where the model doesn't say it.
    name : str, optional
        What to call the model.
    layout, alphabet : str, optional
        As for `PLRP`.
    force : bool
        Replace a model folder that is there.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the model can't be traced, no output of it has a rule, or the folder is there.
    OutputError
        If the folder can't be written.
    """
    with in_python_words():
        model = as_model(net, window=window, layout=layout, alphabet=alphabet)
        write_folder(model, Path(folder), name, force=force)
    return Path(folder)


def write_folder(model: LoadedModel, folder: Path, name: str | None = None, *, force: bool = False) -> None:
    """Pack a model, and leave its module as it is."""
    require_finite(model.module, model.name)
    with undisturbed(module_device(model.module)), apart_model(model) as copied:
        pack_model(copied, folder, name, force=force)


def as_model(
    net: AnyModel, *, window: int | None = None, layout: str | None = None, alphabet: str | None = None
) -> LoadedModel:
    """Give any model as a loaded one, with what is said of it.

    Raises
    ------
    ModelError
        If it can't be loaded, or nobody says its window.
    """
    if isinstance(net, (str, Path)):
        return load_model(net, window=window, layout=layout, alphabet=alphabet)
    model = as_loaded(net)
    asked = Layout.of(layout, alphabet, model.layout)
    length = model.window if window is None else window
    if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= LONGEST_WINDOW:
        raise ModelError(
            f"window={window!r}: the window length of {model.name} isn't known; give it in bp, as window=2114"
        )
    module = model.module if asked.form is None else InForm(model.module, asked.form)
    return replace(model, module=module, window=length, layout=asked.order)


def as_loaded(net: nn.Module | LoadedModel) -> LoadedModel:
    """Give a user's module, without what torch wraps around it to train or compile it, as loaded models are.

    Raises
    ------
    ModelError
        If it isn't a module.
    """
    if isinstance(net, LoadedModel):
        return net
    if not isinstance(net, nn.Module):
        raise ModelError(
            f"net is of type {type(net).__name__}, not a torch.nn.Module; load folders and files with"
            " sparselrp.load_model"
        )
    inner, notes = unwrapped(net)
    names, window = own_names(inner), own_window(inner)
    return LoadedModel(
        type(inner).__name__, inner, window, InputLayout(), names.outputs, (), notes, tasks=names.tasks
    )
