"""Where the positions of the outputs lie that targets read under blocks."""

from collections.abc import Sequence

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.bins import Bins, Unknown, find_bins, given_bins
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.shapes import sample_dim, size
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.graph.targets.axes import OutputAxes, obstacle
from sparselrp_cli.model.output_names import OutputNames


def bins_of(
    graph: CanonicalGraph,
    targets: Sequence[Target],
    names: Sequence[OutputNames],
    sequence_axis: int,
    given: tuple[int, ...] | None = None,
) -> dict[int, Bins]:
    """Find where the positions of outputs lie, of each that a target reads under blocks.

    Parameters
    ----------
    graph : CanonicalGraph
    targets : sequence of Target
    names : sequence of OutputNames, one for each output
    sequence_axis : int
        The axis of the input along the sequence.
    given : (width,) or (width, start), optional
        In bp, for all outputs alike, in place of what the graph says.

    Raises
    ------
    TargetError
        If that can't be found, or what is given doesn't fit.
    """
    wanted = dict.fromkeys(output for target in targets for output in target.with_blocks)
    return {i: _bins(graph, i, names[i], sequence_axis, given) for i in wanted}


def seen_bins(graph: CanonicalGraph, names: Sequence[OutputNames], sequence_axis: int) -> dict[int, Bins]:
    """Find where the positions of all outputs lie, as far as the layers say it."""
    found: dict[int, Bins] = {}
    for i, (output, of_output) in enumerate(zip(graph.outputs, names, strict=True)):
        if obstacle(output) or sample_dim(output.shape).multiple > 1:
            continue
        axes = OutputAxes.of(output, of_output)
        if len(axes.position_lengths) == 1 and axes.n_positions > 1:
            bins = find_bins(graph, i, axes.letters.index("P"), sequence_axis)
            if isinstance(bins, Bins):
                found[i] = bins
    return found


def _bins(
    graph: CanonicalGraph,
    output: int,
    names: OutputNames,
    sequence_axis: int,
    given: tuple[int, ...] | None,
) -> Bins:
    shape, name = graph.outputs[output].shape, names.name
    axis = OutputAxes.of(graph.outputs[output], names).letters.index("P")
    if sample_dim(shape).multiple > 1:
        raise TargetError(f"output '{name}' holds several rows a window, which @blocks can't tell apart")
    if given is not None:
        width, *start = given
        length = size(graph.input_shape, sequence_axis)
        return given_bins(width, start[0] if start else None, size(shape, axis), length, name)
    found = find_bins(graph, output, axis, sequence_axis)
    if isinstance(found, Unknown):
        raise TargetError(
            f"output '{name}': over which bases its positions lie, which @blocks needs, isn't seen from the"
            f" model's layers ({found.why}); say it with --bins WIDTH[:START]"
        )
    return found
