"""`PLRP`: pruned layer-wise relevance propagation of one's own module, called as captum's methods are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, overload

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import InputError, SettingError
from sparselrp_cli.face.attribution import Attribution
from sparselrp_cli.face.calling import undisturbed
from sparselrp_cli.face.engine import Engine
from sparselrp_cli.face.explaining import explained
from sparselrp_cli.face.inputs import Examples, Layout, More, read_examples, read_more
from sparselrp_cli.face.models import as_loaded
from sparselrp_cli.face.settings import DEFAULTS, Centre, settings_of
from sparselrp_cli.face.targets import PerExample, Single, read_targets
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.relevance.choices import Ends, Redistribution
from sparselrp_cli.settings.run import RunSettings


class PLRP:
    """Explains a module by pruned layer-wise relevance propagation.

    The module is traced at the first call for each shape, and again where its weights have changed. It stays
    as it is: it is explained as in evaluation mode, whatever mode it is in. Modules in half precision are
    explained in float32.

    Parameters
    ----------
    net : nn.Module or LoadedModel
        Takes sequences (N, 4, L), or images (N, C, H, W). What `load_model` gives brings its names of tasks.
    prune : float or "auto"
        Proportion of positive relevance mass that is pruned in each layer; 0 is plain LRP.
    prune_negative : float, optional
        The same for negative relevance; by default half of it.
    redistribute : {"lambda", "m"}
        Where pruned mass goes.
    composite : str or Path
        Which rule for which layer: a preset, or a TOML file.
    select : str, optional
        The rule by whose relevance neurons are selected.
    centre : "uniform", "none", None or four floats
        The base composition that contributions are given against. Images aren't centred.
    ends : {"auto", "undo", "linear"}
        What is done with a final sigmoid, softmax, exp, log or softplus.
    reverse_complement : bool
        Average with the reverse complement of each sequence.
    layout : str, optional
        The axes that the module takes: ``NCL``, ``NLC``, ``NC1L``, ``NCL1``, ``N1CL``, ``N1LC``, or ``NL``,
        ids of bases.
    alphabet : str, optional
        The module's order of bases.

    Raises
    ------
    SettingError, ModelError
        If a setting isn't one of those there are, or `net` isn't a module.
    """

    def __init__(
        self,
        net: nn.Module | LoadedModel,
        *,
        prune: float | Literal["auto"] = DEFAULTS.prune,
        prune_negative: float | Literal["auto"] | None = DEFAULTS.prune_negative,
        redistribute: Redistribution = DEFAULTS.redistribute,
        composite: str | Path = DEFAULTS.composite,
        select: str | None = DEFAULTS.select,
        centre: Centre = DEFAULTS.centre,
        ends: Ends = DEFAULTS.ends,
        reverse_complement: bool = DEFAULTS.reverse_complement,
        layout: str | None = None,
        alphabet: str | None = None,
    ) -> None:
        with in_python_words():
            settings = settings_of(
                prune=prune, prune_negative=prune_negative, redistribute=redistribute, composite=composite,
                select=select, centre=centre, ends=ends, reverse_complement=reverse_complement,
            )  # fmt: skip
            known = as_loaded(net)
            self._engine = Engine(known, Layout.of(layout, alphabet, known.layout), settings)

    def __repr__(self) -> str:
        settings = self.settings
        return f"PLRP({self._engine.known.name}, prune={settings.prune}, composite='{settings.composite}')"

    @property
    def settings(self) -> RunSettings:
        """The settings, those of the command line by the same names."""
        return self._engine.settings

    @overload
    def attribute(
        self, x: Tensor, target: Single | PerExample | None = None, *, batch_size: int | None = None,
        additional_forward_args: More = None,
    ) -> Attribution: ...  # fmt: skip
    @overload
    def attribute(
        self, x: Tensor, target: Mapping[str, Single], *, batch_size: int | None = None,
        additional_forward_args: More = None,
    ) -> dict[str, Attribution]: ...  # fmt: skip
    def attribute(
        self,
        x: Tensor,
        target: Single | PerExample | Mapping[str, Single] | None = None,
        *,
        batch_size: int | None = None,
        additional_forward_args: More = None,
    ) -> Attribution | dict[str, Attribution]:
        """Explain examples.

        Parameters
        ----------
        x : Tensor
            As the module takes it, on its device: sequences (N, 4, L), one-hot or any numbers, or images
            (N, C, H, W). Other types are turned to the module's.
        target : None, int, tuple, str, list, Tensor or dict
            What is explained. None where the module gives one number for each example. An int or a tuple
            indexes the axes of the output behind the examples', as captum's. A list, or a tensor with more
            than one, has one for each example. A text is read as the command's ``--target``: ``"1-0@50"``.
            A dict names several, all explained by one forward pass.
        batch_size : int, optional
            Examples at a time; by default as many as fit 512 MiB. Halved where memory runs out.
        additional_forward_args : Tensor, sequence or dict of Tensor, optional
            Inputs beside `x`, with a row for each example. They carry no relevance.

        Returns
        -------
        Attribution, or dict of str to Attribution

        Raises
        ------
        InputError
            If `x` doesn't suit: its shape, its device, or NaN in it.
        TargetError
            If the module has no such output.
        ModelError
            If it can't be traced; UnsupportedOperationError, if an operation has no rule.
        """
        engine = self._engine
        with in_python_words(), undisturbed(x.device if isinstance(x, Tensor) else torch.device("cpu")):
            examples = read_examples(x, engine.module, engine.layout)
            self._require_possible(examples, batch_size)
            rows = read_more(additional_forward_args, engine.module, len(x))
            if rows and self.settings.reverse_complement:
                raise InputError(
                    "additional_forward_args= are of one orientation, and reverse_complement= reads both"
                )
            captured = engine.captured(examples, rows)
            chosen = read_targets(target, captured.parser, len(x))
            ready = captured.ready(engine.settings, examples, chosen.targets)
            found = explained(ready, engine, examples, rows, chosen, batch_size)
        return {one.target: one for one in found} if chosen.named else found[0]

    def _require_possible(self, examples: Examples, batch_size: int | None) -> None:
        whole = isinstance(batch_size, int) and not isinstance(batch_size, bool)
        if batch_size is not None and not (whole and batch_size > 0):
            raise SettingError(f"batch_size={batch_size!r}: give a number of examples, 1 or more")
        if examples.are_images and self.settings.reverse_complement:
            raise InputError("reverse_complement= is of sequences; images have none")
        if examples.are_images and self.settings.centre not in ((), DEFAULTS.centre):
            raise InputError("centre= is a composition of bases; images have none")
