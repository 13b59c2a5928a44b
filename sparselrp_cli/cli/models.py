"""Options that say which model is meant, or which ones, and how it wants its input."""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from sparselrp_cli.cli.options import Command
from sparselrp_cli.cli.values import FileName
from sparselrp_cli.model.request import ALPHABET, FORMS, LAYOUTS, LONGEST_WINDOW, ModelRequest
from sparselrp_cli.model.shipped import shipped_models

REFERENCE = (
    "Model folder or its model.json; a shipped model by its name, such as suhw-dm3; PACKAGE.MODULE:FACTORY or"
    " FILE.py:FACTORY; or, with --trust-model, a .pt2 program or a pickled .pt module."
)

MODEL = FileName(shipped_models)
"""What names a model, completed with the shipped ones."""
SEVERAL = f"{REFERENCE} Repeatable: the models, such as folds, are averaged, and their spread is written too."
DETAILS = {
    "weights": "--weights", "window": "--window", "alphabet": "--alphabet", "layout": "--layout",
    "inputs": "--input", "model_class": "--model-class", "tokens": "--tokens", "trust_model": "--trust-model",
}  # fmt: skip


def models_options(command: Command, *, help: str = SEVERAL, required: bool = True) -> Command:
    """Add -m for one model or several, and hand the command `models`, a tuple of `ModelRequest`."""

    @wraps(command)
    def with_models(
        *arguments: Any, models: tuple[str, ...], weights: tuple[Path, ...], **parsed: Any
    ) -> Any:
        if not models:
            _require_no_details(weights=weights, **parsed)
        request = _taken(parsed)
        requests = tuple(request(model, file) for model, file in pair_weights(models, weights))
        return command(*arguments, models=requests, **parsed)

    option = click.option(
        "-m", "--model", "models", type=MODEL, required=required, multiple=True, metavar="MODEL", help=help
    )
    return option(_details(with_models, several=True))  # type: ignore[return-value]


def model_option(command: Command, *, help: str) -> Command:
    """Add -m for a model that may be left out, and hand the command `model`, a `ModelRequest` or None."""
    return click.option("-m", "--model", type=MODEL, metavar="MODEL", help=help)(model_details(command))


def model_details(command: Command) -> Command:
    """Add what goes with a model that the command names as `model`, and hand it that as a `ModelRequest`."""

    @wraps(command)
    def with_model(*arguments: Any, model: str | None, weights: Path | None, **parsed: Any) -> Any:
        if model is None:
            _require_no_details(weights=weights, **parsed)
        request = _taken(parsed)
        return command(*arguments, model=None if model is None else request(model, weights), **parsed)

    return _details(with_model, several=False)  # type: ignore[return-value]


def _require_no_details(**parsed: object) -> None:
    """Stop where something is said of a model that isn't named.

    Raises
    ------
    click.UsageError
    """
    for name, option in DETAILS.items():
        if parsed[name]:
            raise click.UsageError(f"{option} goes with --model; name the model too")


def _taken(parsed: dict[str, Any]) -> Callable[[str, Path | None], ModelRequest]:
    """Take the details out of what was parsed; give what makes requests with them."""
    window, alphabet, layout = (parsed.pop(name) for name in ("window", "alphabet", "layout"))
    trust, inputs, of_class, tokens = (
        parsed.pop(name) for name in ("trust_model", "inputs", "model_class", "tokens")
    )

    def request(reference: str, weights: Path | None) -> ModelRequest:
        return ModelRequest(
            reference, weights, window, alphabet, layout, trust, inputs, of_class, tokens=tokens
        )

    return request


def _details(command: Callable[..., Any], *, several: bool) -> Callable[..., Any]:
    more = " With several models once for each factory, in their order."
    options = [
        click.option(
            "-w", "--weights", multiple=several, type=click.Path(path_type=Path), metavar="FILE",
            help="Weights for a factory: .safetensors, or a state dict read with weights_only."
            + (more if several else ""),
        ),
        click.option(
            "--window", type=click.IntRange(1, LONGEST_WINDOW), metavar="BP",
            help="Window length in bp, where the model doesn't carry it.",
        ),
        click.option(
            "--alphabet", metavar="ACGT", help=f"The model's order of bases.  [default: {ALPHABET}]"
        ),
        click.option(
            "--layout", type=click.Choice((*LAYOUTS, *FORMS)),
            help="The model's input axes: bases before (NCL) or after (NLC) positions, maybe with an axis of"
            f" length 1, or ids 0 to 3 (NL).  [default: {LAYOUTS[0]}]",
        ),
        click.option(
            "--input", "inputs", multiple=True, metavar="NAME=SHAPE[:VALUE]|FILE",
            help="Hold another input of the model constant, by its name in forward, such as control=2x2114:0."
            " For attribute also a .npz or .npy with a row for each region. NAME channels: beside A, C, G, T."
            " Repeatable.",
        ),
        click.option(
            "--model-class", metavar="FILE.py:CLASS",
            help="For a Lightning checkpoint (.ckpt): the class of its model, also PACKAGE.MODULE:CLASS; it"
            " is called with the checkpoint's hyper-parameters.",
        ),
        click.option(
            "--tokens", metavar="TOKENS",
            help="For a model that takes ids: its tokenizer.json (byte pairs), its vocab.txt or vocab.json"
            " (k-mers), or the ids of bases, such as A=7,C=8,G=9,T=10,N=11; behind a comma front=, end=,"
            " step=, tokens= and others.",
        ),
        click.option(
            "--trust-model", is_flag=True,
            help="Load a file that can run code inside it (.pt2, .pt, .pth, .torch, .pkl).",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def pair_weights(models: Sequence[str], weights: Sequence[Path]) -> Iterable[tuple[str, Path | None]]:
    """Give each model its weights: the factories theirs in order, or none brings any.

    Raises
    ------
    click.UsageError
        If the weights don't come out even with the factories.
    """
    if len(models) == 1 and len(weights) <= 1:
        return [(models[0], weights[0] if weights else None)]
    factories = [model for model in models if _is_factory(model)]
    if weights and len(weights) != len(factories):
        files = "1 file" if len(weights) == 1 else f"{len(weights)} files"
        takers = "1 factory" if len(factories) == 1 else f"{len(factories)} factories"
        raise click.UsageError(
            f"--weights: {files} for {takers} among the models; give one for each factory, in their"
            " order, or none"
        )
    left = iter(weights)
    return [(model, next(left, None) if _is_factory(model) else None) for model in models]


def _is_factory(model: str) -> bool:
    return ":" in Path(model).name and not Path(model).is_dir()
