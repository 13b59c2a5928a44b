"""Models as the rules take them: members that are averaged, folds apart, targets and their parts of file names."""

import re
import unicodedata
from pathlib import Path

from snakemake.exceptions import WorkflowError


def named_models():
    """Give the models by name: members, which are averaged, their weights and targets; folds apart on demand."""
    models = {}
    for name, given in config["models"].items():
        model = {
            **given,
            "members": as_list(given.get("folders", given.get("model"))),
            "weights": as_list(given.get("weights", [])),
            "names": target_names(name, given),
        }
        apart = {} if model["folds"] == "mean" else folds_apart(name, model)
        together = {} if model["folds"] == "apart" else {name: model}
        for new, entry in {**together, **apart}.items():
            if new in models or (new != name and new in config["models"]):
                raise WorkflowError(
                    f"models: '{new}' is a fold of '{name}' and a model of its own; rename one"
                )
            models[new] = entry
    return models


def folds_apart(name, model):
    """Give each member of a model as a model: NAME-1, NAME-2, ... with its own weights."""
    takers = [is_factory(member) for member in model["members"]]
    if model["weights"] and len(model["weights"]) != sum(takers):
        raise WorkflowError(
            f"models: '{name}' has {len(model['weights'])} weights for {sum(takers)} factories; give one for each"
        )
    left = iter(model["weights"])
    return {
        f"{name}-{number}": {
            **model,
            "members": [member],
            "weights": [next(left)] if takes and model["weights"] else [],
        }
        for number, (member, takes) in enumerate(zip(model["members"], takers), 1)
    }


def target_names(name, model):
    """Give what sparselrp calls the targets: what is typed, then the first column of a file of targets."""
    typed = [str(target) for target in model["targets"]]
    file = model.get("targets_file")
    try:
        lines = Path(file).read_text().splitlines() if file else []
    except OSError as error:
        raise WorkflowError(
            f"models: '{name}': targets_file {file} can't be read: {error.strerror}"
        )
    wanted = [line for line in lines if line.strip() and not line.startswith("#")]
    return list(
        dict.fromkeys([*typed, *(line.split("\t")[0].strip() for line in wanted)])
    )


def file_names(names, endings):
    """Give each target its part of a file name, as sparselrp does; `endings` are what it goes on with."""
    taken, given = set(), []
    for name in names:
        safe = re.sub(r"[^\w.+=-]+|\.\.+", "_", unicodedata.normalize("NFC", name))
        safe = re.sub(r"^[.-]", "_", safe)
        safe = safe.encode()[:80].decode(errors="ignore").rstrip(".") or "_"
        candidate, number = safe, 1
        while not taken.isdisjoint((candidate + end).casefold() for end in endings):
            number += 1
            candidate = f"{safe}_{number}"
        taken.update((candidate + end).casefold() for end in endings)
        given.append(candidate)
    return given


def targets_by_part(model):
    """Give the targets by the part of file names that stands for each: none where a model has one."""
    if len(model["names"]) < 2:
        return {"": None}
    endings = ("", ".sd") if len(model["members"]) > 1 else ("",)
    parts = file_names(model["names"], endings)
    return {f".{part}": name for part, name in zip(parts, model["names"])}


def as_list(value):
    return [value] if isinstance(value, str) else value


def is_factory(member):
    """Whether a member is FILE.py:FACTORY or package.module:factory."""
    return ":" in Path(member).name


def member_file(member):
    """Give the file that stands for a member, which makes its runs anew; none of a factory in a module."""
    if is_factory(member):
        file = member.rpartition(":")[0]
        return file if file.endswith(".py") else None
    files = (".json", ".pt2", ".pt", ".pth", ".torch", ".pkl", ".ckpt")
    if Path(member).is_file() or Path(member).suffix in files:
        return member
    folder = member.rstrip("/")
    packed = f"{folder}/graph.json"
    return packed if Path(packed).is_file() else f"{folder}/model.json"


MODELS = named_models()
TARGETS = {name: targets_by_part(model) for name, model in MODELS.items()}
PARTS = sorted({re.escape(part) for parts in TARGETS.values() for part in parts})
