"""What to do where a model doesn't take its input: found by trying what would fit."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from sparselrp_cli.graph.parts_of_input import parts_advice
from sparselrp_cli.model.forms import in_form
from sparselrp_cli.model.inputs import WithConstantInputs, parameters_of
from sparselrp_cli.model.prints import silently
from sparselrp_cli.model.request import FORMS, LAYOUTS, LONGEST_WINDOW

_MOST_STEPS, _MOST_DOUBLINGS, _MOST_TRIALS = 6, 8, 100
_LONGEST_STRETCH = 4096


def input_advice(module: nn.Module, example: Tensor, error: Exception) -> tuple[str, tuple[str, ...]]:
    """Say what to do about an input that a model doesn't take.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode.
    example : Tensor, shape (N, 4, L) or (N, L, 4)
    error : Exception
        What the model raised.

    Returns
    -------
    text : str
    lines : tuple of str
        Code to be pasted, if any helps.
    """
    parts = parts_advice(module, example)
    return (_tensor_advice(module, example, error), ()) if parts is None else parts


def _tensor_advice(module: nn.Module, example: Tensor, error: Exception) -> str:
    said = str(error)
    if others := _other_inputs(module, said):
        return others
    if isinstance(error, AttributeError) and re.search(r"'\w+' object has no attribute", said):
        return (
            "if it was pickled, another version of torch or of its code did that: load its state dict into"
            " its class, FILE.py:FACTORY with -w"
        )
    if fitting := _layouts(module, example):
        whichever = ", whichever it was trained with" if len(fitting) > 1 else ""
        tokens = "; or, if it takes ids of tokens, say which: --tokens" if "NL" in fitting else ""
        return f"give --layout {' or '.join(fitting)}{whichever}{tokens}"
    if _takes(module, example.flatten(1)):
        return (
            "it takes a window as one row: wrap it in a module whose forward returns net(x.flatten(1)), or"
            " net(x.transpose(1, 2).flatten(1)) if the four numbers of a position stand side by side"
        )
    for layout, x in (("", example), (f"--layout {_turned(example)} and ", example.transpose(1, 2))):
        if channels := _channels(module, x):
            more, length = channels - 4, max(example.shape[1:])
            return (
                f"it reads {channels} channels: give {layout}those beside A, C, G and T with --input"
                f" channels={more}x{length}:VALUE, or channels=FILE.npz by region"
            )
    if isinstance(error, (RuntimeError, AssertionError, ValueError)):
        if _holds(module) and "scalar types: Long, Int" in str(error):
            return (
                "what it looks up by are whole numbers: write NAME=SHAPE:VALUE:int,"
                " or NAME=:VALUE:int for one"
            )
        held = f"; or a shape of --input is wrong: {_held(module)}" if _holds(module) else ""
        return _window_advice(module, example) + held
    return "wrap it in a module whose forward takes one tensor of this shape"


def _other_inputs(module: nn.Module, said: str) -> str:
    """Say how to give the other inputs of a forward, where one is missing or None; nothing where none is."""
    parameters = _free_parameters(module)
    names = list(parameters)
    if "missing" in said and "argument" in said:
        given = " ".join(f"--input {name}=SHAPE:VALUE" for name in names[1:])
        first = f" ('{names[0]}' takes the sequence, unless it is held, too)" if names else ""
        rows = f", or give a row for each region, --input {names[1] if names[1:] else 'NAME'}=FILE.npz"
        return f"hold its other inputs constant with {given or '--input NAME=SHAPE:VALUE'}{first}{rows}"
    optional = [name for name in names[1:] if parameters[name].default is None]
    if "NoneType" in said and optional:
        name = optional[0]
        return (
            f"it wants more inputs: give them with --input {name}=SHAPE:VALUE, or {name}=FILE.npz by region"
        )
    return ""


def _free_parameters(module: nn.Module) -> dict[str, inspect.Parameter]:
    """Give the parameters of the model's own forward that aren't held, the sequence first."""
    if not _holds(module):
        return parameters_of(module)
    own = parameters_of(module.module)
    free = [name for name in own if name not in module.names and name != module.sequence]
    return {name: own[name] for name in (module.sequence, *free) if name in own}


def _holds(module: nn.Module) -> TypeGuard[WithConstantInputs]:
    return isinstance(module, WithConstantInputs)


def _held(module: WithConstantInputs) -> str:
    """List the shapes of what is held constant or given by window, for one sample."""
    held = module.rows_of(1, (*module.names, *module.beside))
    return ", ".join(f"{name} {'x'.join(map(str, value.shape[1:])) or '1'}" for name, value in held.items())


def _turned(example: Tensor) -> str:
    return LAYOUTS[1] if example.shape[1] == 4 else LAYOUTS[0]


def _layouts(module: nn.Module, example: Tensor) -> list[str]:
    """List the layouts in which a model takes such windows."""
    if _takes(module, example.transpose(1, 2)):
        return [_turned(example)]
    windows = example if example.shape[1] == 4 else example.transpose(1, 2)
    return [form for form in FORMS if _takes(module, in_form(form, windows))]


def _channels(module: nn.Module, x: Tensor) -> int:
    """Give how many channels a model says it reads; 0 where it says nothing, or not more than the bases."""
    try:
        with torch.no_grad(), silently():
            module(x)
    except Exception as error:  # noqa: BLE001 - what it says is the answer
        found = re.search(r"to have (\d+) channels, but got 4 channels", str(error))
        return int(found[1]) if found and int(found[1]) > 4 else 0
    return 0


def _takes(module: Callable[[Tensor], Any], x: Tensor) -> bool:
    try:
        with torch.no_grad(), silently():
            return _keeps_samples(module(x), len(x))
    except Exception:  # noqa: BLE001 - any refusal is the answer
        return False


def _keeps_samples(outputs: object, n_samples: int) -> bool:
    """Whether no output mixes samples, as `view(-1, 200)` does with windows of other lengths."""
    return all(t.shape[0] == n_samples for t in tree_leaves(outputs) if isinstance(t, Tensor) and t.ndim)


def _window_advice(module: nn.Module, example: Tensor) -> str:
    layout, found = "", fitting_windows(module, example)
    if found is None:
        layout, found = f"--layout {_turned(example)} ", fitting_windows(module, example.transpose(1, 2))
    if found is None:
        return "the window length may be wrong (--window), or the order of the axes (--layout)"
    first, last = found
    if last is None:
        return f"windows of {first} bp or more would fit: {layout}--window {first}"
    if first == last:
        return f"windows of {first} bp would fit: {layout}--window {first}"
    return f"windows of {first} to {last} bp would fit: {layout}--window {first}"


def fitting_windows(module: nn.Module, example: Tensor) -> tuple[int, int | None] | None:
    """Find window lengths that a model takes, near the one that its message speaks of; nothing is computed.

    Returns
    -------
    (first, last) : int, int or None
        In bp, both included; None for no end that was found. None alone where no length was found.
    """
    trial = _Trial(module, example)
    start = example.shape[trial.axis]
    found = next((w for w in trial.candidates(start) if trial.fits(w)), None)
    if found is None:
        return None
    first = found - trial.reach(found, -1)
    stretch = trial.reach(found, 1)
    return first, None if stretch >= _LONGEST_STRETCH else found + stretch


class _Trial:
    """Calls a model with windows of other lengths, on tensors without numbers."""

    def __init__(self, module: nn.Module, example: Tensor) -> None:
        self.module, self.example = module, example
        self.axis = 2 if example.shape[1] == 4 else 1
        self.said: dict[int, str] = {}

    def message(self, window: int) -> str:
        """Give what the model says to a length: nothing where it takes it."""
        if window not in self.said:
            if len(self.said) >= _MOST_TRIALS:
                return "tried enough"
            shape = list(self.example.shape)
            shape[self.axis] = window
            self.said[window] = self._call(shape)
        return self.said[window]

    def _call(self, shape: list[int]) -> str:
        try:
            with silently(), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
                outputs = self.module(torch.zeros(shape, dtype=self.example.dtype))
        except Exception as error:  # noqa: BLE001 - what it says leads to the next length
            return str(error) or type(error).__name__
        return "" if _keeps_samples(outputs, shape[0]) else "mixes samples"

    def fits(self, window: int) -> bool:
        return self.message(window) == ""

    def candidates(self, start: int) -> Iterator[int]:
        """Solve for the lengths at which a number of the message meets another that doesn't change."""
        for doublings in range(_MOST_DOUBLINGS):
            window = start << doublings
            if 2 * window > LONGEST_WINDOW:
                return
            yield 2 * window
            for place, goal in self._goals(window):
                yield from self._approach(window, place, goal)

    def _goals(self, start: int) -> list[tuple[int, int]]:
        """Pair each number that changes with the length, by its place, with each that doesn't."""
        one, other = self._numbers(start), self._numbers(2 * start)
        if len(one) != len(other):
            return []
        changing = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        fixed = {a for a, b in zip(one, other, strict=True) if a == b}
        # A size may be that of all samples together.
        fixed |= {size * len(self.example) for size in fixed}
        return [(place, goal) for place in changing for goal in sorted(fixed, reverse=True) if goal > 4]

    def _numbers(self, window: int) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", self.message(window))]

    def _approach(self, start: int, place: int, goal: int) -> Iterator[int]:
        """Follow the secant; pools round, so that it takes a few steps."""
        a, b = start, 2 * start
        for _ in range(_MOST_STEPS):
            left, right = self._numbers(a), self._numbers(b)
            if len(left) != len(right) or place >= len(left) or left[place] == right[place]:
                break
            step = (goal - left[place]) * (b - a) / (right[place] - left[place])
            a, b = b, round(a + step)
            if not 4 < b <= LONGEST_WINDOW:
                break
            yield b

    def reach(self, window: int, direction: int) -> int:
        """Count the lengths beside one that fit too, all between them included."""
        inside, outside = 0, 1
        while outside < _LONGEST_STRETCH and self._fits_at(window + direction * outside):
            inside, outside = outside, 2 * outside
        if outside >= _LONGEST_STRETCH:
            return _LONGEST_STRETCH if direction > 0 else inside
        while outside - inside > 1:
            middle = (inside + outside) // 2
            fits = self._fits_at(window + direction * middle)
            inside, outside = (middle, outside) if fits else (inside, middle)
        return inside

    def _fits_at(self, window: int) -> bool:
        return window > 0 and self.fits(window)
