"""What a model is: its outputs, the rule each operation gets, and what can be explained."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from sparselrp_cli.errors import ModelError, SparselrpError
from sparselrp_cli.face.calling import apart_model, undisturbed
from sparselrp_cli.face.inputs import Layout, read_examples
from sparselrp_cli.face.models import AnyModel, as_loaded, as_model, load_model
from sparselrp_cli.face.settings import DEFAULTS, settings_of
from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.graph.bins import Bins
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.located import seen_bins
from sparselrp_cli.graph.packed.network import PackedNetwork
from sparselrp_cli.graph.steps import steps_beside
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.graph.targets.axes import obstacle
from sparselrp_cli.graph.token_notes import token_example, token_notes
from sparselrp_cli.model.loading import ImageModel, LoadedModel, module_device
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.audit import audit, require_audited, shape_text
from sparselrp_cli.relevance.composites import PRESETS, Composite
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE
from sparselrp_cli.relevance.signs import positive_outputs
from sparselrp_cli.runs.composite_file import find_composite


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Inspection:
    """What `sparselrp inspect` shows of a model; `str` and `repr` are its text.

    Attributes
    ----------
    obstacle : SparselrpError or None
        Why the model can't be explained, if it can't.
    """

    obstacle: SparselrpError | None
    _document: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give what ``sparselrp inspect --json`` prints."""
        found: dict[str, Any] = json.loads(json.dumps(self._document))
        return found

    def __str__(self) -> str:
        return "\n".join(_lines(self._document))

    __repr__ = __str__


def inspect(
    net: AnyModel,
    x: Tensor | None = None,
    *,
    window: int | None = None,
    composite: str = DEFAULTS.composite,
    layout: str | None = None,
    alphabet: str | None = None,
) -> Inspection:
    """Trace a model and say what it is.

    Parameters
    ----------
    net : nn.Module, LoadedModel, str or Path
    x : Tensor, optional
        An example as the module takes it: sequences or images.
    window : int, optional
        Of a model of sequences, in the place of an example: its length in bp.
    composite : str
        Whose rules are shown.
    layout, alphabet : str, optional
        As for `PLRP`.

    Raises
    ------
    ModelError
        If the model can't be traced.
    """
    with in_python_words():
        model = _modelled(net, x, window, layout, alphabet)
        name = settings_of(composite=composite).composite
        with undisturbed(module_device(model.module)), apart_model(model) as copied:
            return inspect_model(copied, name)


def inspect_model(model: LoadedModel, composite: str) -> Inspection:
    """Inspect a loaded model; the command line calls this.

    Raises
    ------
    ModelError
        If it can't be traced.
    """
    rules, graph = find_composite(composite), capture_model(model)
    names = output_names(model, graph)
    parser = TargetParser(graph.outputs, names)
    explainer, stuck = _explainer(model, graph, parser, rules)
    bins = seen_bins(graph, names, 3 - model.layout.base_axis)
    binned = [i for i, of_output in bins.items() if of_output.width > 1]
    packed = isinstance(model.module, PackedNetwork)
    # Of a large model one window is enough.
    from sparselrp_cli.graph.traced_model import checked_windows

    example = checked_windows(graph, model.example(4))
    report = audit(graph, None if packed else model.module, rules, explainer, example)
    tokens = [*token_notes(graph), *filter(None, [token_example(graph, model.example(1))])]
    notes = () if explainer is None else explainer.notes
    document = {
        "model": model.name,
        "packed": packed,
        **({"image": list(model.image)} if isinstance(model, ImageModel) else {}),
        "window": model.window,
        "alphabet": model.layout.alphabet,
        "layout": model.layout.layout,
        "outputs": _outputs(graph, names, bins),
        "targets": parser.examples(positive_outputs(graph), binned),
        "tokens": tokens,
        "ends": [*notes, *steps_beside(graph)],
        "composite": composite,
        "select": None if rules.select is None else rules.select.describe(),
        **report.as_dict(),
    }
    try:
        require_audited(report)
        if stuck is None:
            parser.any_target()
    except SparselrpError as error:
        stuck = error
    return Inspection(stuck, document)


def _modelled(
    net: AnyModel, x: Tensor | None, window: int | None, layout: str | None, alphabet: str | None
) -> LoadedModel:
    """Give a model with the shape of its examples."""
    if x is None:
        return as_model(net, window=window, layout=layout, alphabet=alphabet)
    if isinstance(net, (str, Path)):
        known, layout, alphabet = load_model(net, layout=layout, alphabet=alphabet), None, None
    else:
        known = as_loaded(net)
    examples = read_examples(x, known.module, Layout.of(layout, alphabet, known.layout))
    shape = tuple(examples.x.shape[1:])
    if not examples.are_images:
        return as_model(known, window=shape[-1], layout=layout, alphabet=alphabet)
    return ImageModel(
        known.name, known.module, 0, known.layout, known.outputs, known.files, image=shape,
        signed=examples.signed,
    )  # fmt: skip


def _explainer(
    model: LoadedModel, graph: CanonicalGraph, parser: TargetParser, rules: Composite
) -> tuple[Explainer | None, SparselrpError | None]:
    """Give what explains some target, for checks; or why there is nothing."""
    if graph.unsupported() or not parser.choices.open:
        return None, None
    target, signed = parser.any_target(), isinstance(model, ImageModel) and model.signed
    try:
        explainer = Explainer(
            graph, [target], parser.names, rules, NONE,
            input_non_negative=not signed, base_axis=model.base_axis,
        )  # fmt: skip
    except ModelError as error:
        return None, error  # said below the tables, which show where
    return explainer, None


def _outputs(
    graph: CanonicalGraph, names: Sequence[OutputNames], bins: Mapping[int, Bins]
) -> list[dict[str, Any]]:
    """Describe the outputs: their names and shapes, over which bases they lie, what keeps them closed."""
    return [
        {
            "name": of_output.name,
            "tasks": list(of_output.tasks),
            "shape": shape_text(output.shape),
            "bins": bins[i].describe() if i in bins else "",
            "obstacle": obstacle(output),
        }
        for i, (of_output, output) in enumerate(zip(names, graph.outputs, strict=True))
    ]


def _for_a_shell(text: str) -> str:
    """Quote a target as people would type it in a shell."""
    plain = shlex.quote(text)
    return f'"{text}"' if "'" in text and not any(c in text for c in '"\\$`!') else plain


def _output_line(output: dict[str, Any]) -> str:
    if output["obstacle"]:
        return f"output {output['name']} can't be explained: {output['obstacle']}"
    tasks = f", tasks {', '.join(output['tasks'])}" if output["tasks"] else ""
    bins = f", {output['bins']}" if output["bins"] else ""
    return f"output {output['name']} {output['shape']}{tasks}{bins}"


def _lines(document: Mapping[str, Any]) -> list[str]:
    """Write a document as tables and sentences, line by line."""
    packed = "a packed graph, " if document["packed"] else ""
    what = f"windows of {document['window']} bp, {document['layout']}, {document['alphabet']}"
    if "image" in document:
        what = f"images of {' x '.join(map(str, document['image']))}"
    lines = [f"model {document['model']}: {packed}{what}", *map(_output_line, document["outputs"])]
    if document["targets"]:
        lines.append(f"targets, such as: {'   '.join(map(_for_a_shell, document['targets']))}")
    lines += [*document["tokens"], *document["ends"]]
    if document["rows"]:
        table = pd.DataFrame(document["rows"]).drop(columns="work").rename(columns={"where": "comes from"})
        table["pruned"] = table["pruned"].map({True: "yes", False: ""})
        lines.append("\n" + table.to_string(index=False, justify="left") + "\n")
    lines += [f"{100 * share:5.1f} % of the work: {rule}" for rule, share in document["work"].items()]
    if document["difference"] is not None:
        lines.append(f"graph against model: largest relative difference {document['difference']:.1e}")
    if document["conservation_error"] is not None:
        lines.append(f"conservation error, unpruned: {document['conservation_error']:.1e}")
    if document["select"] is not None:
        lines.append(f"neurons are selected by their relevance under {document['select']} in convolutions")
    lines.append("\ncomposites:")
    for preset in PRESETS.values():
        in_force = " (in force)" if preset.name == document["composite"] else ""
        lines.append(f"  {preset.name:22} {preset.summary}{in_force}")
    return lines
