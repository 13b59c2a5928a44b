"""What a model calls its outputs and their tasks."""

from dataclasses import dataclass

AXES = ("NT", "NP", "NTP", "NPT", "NPP", "NTPP", "NPPT")
"""What the axes of an output may be: samples, tasks, positions; two P are the two bins of a pair."""
AXES_UNLESS_GIVEN = "NTP"


@dataclass(frozen=True, slots=True)
class OutputNames:
    """What a model's output is called and what its tasks are.

    Attributes
    ----------
    name : str
    tasks : tuple of str
        May be empty where nobody named them.
    axes : str
        One of `AXES`.
    """

    name: str
    tasks: tuple[str, ...] = ()
    axes: str = AXES_UNLESS_GIVEN


@dataclass(frozen=True, slots=True)
class OwnNames:
    """What a network or its factory says of its outputs by attributes.

    Attributes
    ----------
    outputs : tuple of OutputNames
        By ``outputs``, in the order in which forward returns them; written as in a model folder.
    tasks : tuple of str
        By ``tasks``, of each output that has as many tasks.
    """

    outputs: tuple[OutputNames, ...] = ()
    tasks: tuple[str, ...] = ()


def own_names(*objects: object) -> OwnNames:
    """Read ``outputs`` and ``tasks`` of a network and of its factory; the first that has one counts.

    Attributes of these names that hold something else are a network's own affair.
    """
    outputs = (_outputs_of(_attribute(each, "outputs")) for each in objects)
    tasks = (_names(_attribute(each, "tasks")) for each in objects)
    return OwnNames(next(filter(None, outputs), ()), next(filter(None, tasks), ()))


def _attribute(each: object, name: str) -> object:
    """Give an attribute; None where there is none, or a property of the user's fails."""
    try:
        return getattr(each, name, None)
    except Exception:  # noqa: BLE001 - whatever it raises, it isn't meant for us
        return None


def _outputs_of(value: object) -> tuple[OutputNames, ...]:
    """Read a list of dicts with a name and maybe tasks and axes; nothing of anything else."""
    if not isinstance(value, list | tuple):
        return ()
    found = [_output_of(entry) for entry in value]
    return tuple(each for each in found if each is not None) if all(found) else ()


def _output_of(entry: object) -> OutputNames | None:
    if not isinstance(entry, dict) or not {"name"} <= entry.keys() <= {"name", "tasks", "axes"}:
        return None
    (name,), tasks = _names([entry["name"]]) or ("",), _names(entry.get("tasks", ()))
    axes = entry.get("axes", AXES_UNLESS_GIVEN)
    if not name or axes not in AXES or len(tasks) != len(entry.get("tasks", ())):
        return None
    return OutputNames(name, tasks, axes)


def _names(value: object) -> tuple[str, ...]:
    """Give a list of names that can be printed; nothing where it is anything else."""
    if not isinstance(value, list | tuple):
        return ()
    fit = all(isinstance(name, str) and name and name.isprintable() for name in value)
    return tuple(value) if fit else ()
