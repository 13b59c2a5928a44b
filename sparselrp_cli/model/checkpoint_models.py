"""Checkpoints given as models: whose class they are of, and what to type where that isn't known."""

from dataclasses import replace
from pathlib import Path
from zipfile import is_zipfile

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.factories import Factory
from sparselrp_cli.model.hyper_parameters import (
    HyperParameters,
    read_hyper_parameters,
    takes_hyper_parameters,
)
from sparselrp_cli.model.plain_modules import is_module
from sparselrp_cli.model.state_dict import places
from sparselrp_cli.model.trusted import SCRIPT, is_script
from sparselrp_cli.model.unpickling import Stub, read_checkpoint
from sparselrp_cli.model.weights import Checkpoint, load_checkpoint


def with_hyper_parameters(factory: Factory, checkpoint: Checkpoint | None) -> tuple[Factory, tuple[str, ...]]:
    """Let a class be called with what its checkpoint says it was made with.

    Returns
    -------
    Factory
    tuple of str
        What was done, for the log.

    Raises
    ------
    ModelError
        If a hyper-parameter that the class takes can't be read as data.
    """
    found = None if checkpoint is None else read_hyper_parameters(checkpoint.document)
    if checkpoint is None or found is None or not takes_hyper_parameters(factory.function):
        return factory, ()
    arguments = found.arguments_of(factory.function, factory.reference)
    if not arguments:
        return factory, ()
    whose = f"the hyper-parameters of {checkpoint.path}"
    used = replace(found, values={k: v for k, v in found.values.items() if k not in found.left(arguments)})
    notes = [f"called with {whose}: {used.describe()}"]
    if left := found.left(arguments):
        notes.append(f"others aren't parameters of it ({', '.join(left)})")
    return replace(factory, arguments=arguments, whose=whose), ("; ".join(notes),)


def only_weights(path: Path) -> ModelError:
    """Say what to type for a file of weights; of one that says how its model is made, with a factory."""
    try:
        document = None if path.suffix == ".safetensors" else read_checkpoint(path)
    except ModelError:
        document = None
    return _without_model(path, read_hyper_parameters(document))


def _without_model(path: Path, found: HyperParameters | None) -> ModelError:
    if found is None:
        return ModelError(f"{path}: holds weights without a model; use FILE.py:FACTORY with -w {path}")
    made = f" and hyper-parameters ({found.describe()})" if found.values else ", and no hyper-parameters"
    return ModelError(
        f"{path}: a Lightning checkpoint, which holds weights{made}, but not the model's code; name its class"
        f" with --model-class FILE.py:CLASS, or write these lines to build.py and give -m build.py:build -w"
        f" {path}",
        found.factory(),
    )


def what_is_pickled(path: Path) -> ModelError:
    """Say what a file holds that can run code, and what to type; it is read as data."""
    trusted = (
        f"{path}: loading this file can run code that is inside it; if you trust where it comes from, add"
        " --trust-model"
    )
    if is_script(path):
        return ModelError(SCRIPT.format(path=path))
    try:
        document = _peeked(path)
    except ModelError:
        return ModelError(trusted)
    module = _module(document)
    if module is not None:
        kind = type(_within_wrappers(module)).path
        return ModelError(
            f"{trusted}; or name its class ({kind}), FILE.py:{kind.rpartition('.')[2]} with -w {path}: its"
            " weights are read without running code"
        )
    found = read_hyper_parameters(document)
    return _without_model(path, found) if found or any(places(document)) else ModelError(trusted)


def _peeked(path: Path) -> object:
    return read_checkpoint(path) if is_zipfile(path) else load_checkpoint(path).document


def _within_wrappers(module: Stub) -> Stub:
    """Give the module within DataParallel and its like."""
    while type(module).path.startswith("torch.nn.parallel."):
        inner = module.state["_modules"].get("module")
        if not is_module(inner):
            break
        module = inner
    return module


def _module(document: object) -> Stub | None:
    """Find a pickled module, itself or in a dictionary."""
    values = [document, *(dict.values(document) if isinstance(document, dict) else ())]
    return next((value for value in values if isinstance(value, Stub) and is_module(value)), None)
