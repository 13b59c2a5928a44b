"""The configuration, checked, and the functions that the rules use."""

import csv
import json
import re
import shlex
import unicodedata
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

validate(config, "../schemas/config.schema.yaml")


def read_samples(path):
    """Give the rows of the table of samples by name."""
    try:
        with open(path, newline="") as table:
            rows = list(
                csv.DictReader(table, delimiter="\t", restkey="too many columns")
            )
    except OSError as error:
        raise WorkflowError(f"samples: {path} can't be read: {error.strerror}")
    samples = {}
    for line, row in enumerate(rows, 2):
        validate(row, "../schemas/samples.schema.yaml")
        if row["sample"] in samples:
            raise WorkflowError(
                f"{path} line {line}: sample '{row['sample']}' is there already; rename one"
            )
        samples[row["sample"]] = row
    if not samples:
        raise WorkflowError(f"{path} has no samples; add a line for each")
    return samples


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


SAMPLES = read_samples(config["samples"])
MODELS = named_models()
OUT = config["outdir"]
SHARDS = range(1, config["shards"] + 1)
# Rule modisco reads the arrays that this format brings.
FORMATS = ",".join(
    dict.fromkeys(
        [
            "h5",
            *config["formats"],
            # The best windows, which rule unpruned explains again.
            *(["top"] if config["motifs"]["enabled"] else []),
            *(["modisco"] if config["modisco"]["enabled"] else []),
        ]
    )
)
RUN = f"{OUT}/{{sample}}.{{model}}"
SHARD = f"{OUT}/shards/{{sample}}.{{model}}/{{shard}}-of-{len(SHARDS)}"


PERMUTED = "--null permuted" in " ".join(config["motifs"]["options"]).replace("=", " ")
TARGETS = {name: targets_by_part(model) for name, model in MODELS.items()}
PARTS = sorted({re.escape(part) for parts in TARGETS.values() for part in parts})
PAIR = "{sample}.{model}{target}"


wildcard_constraints:
    sample="|".join(SAMPLES),
    model="|".join(MODELS),
    # Behind a point, and nothing of a model with one target.
    target=f"(?:{'|'.join(PARTS)})",
    shard=r"\d+",


def check_blocks():
    """Refuse a null of shuffled windows where a target reads the blocks of its region, which those haven't."""
    for name, model in MODELS.items():
        asked = [*map(str, model["targets"]), *read_lines(model.get("targets_file"))]
        if (
            config["motifs"]["enabled"]
            and not PERMUTED
            and any("@blocks" in text for text in asked)
        ):
            raise WorkflowError(
                f"motifs: model '{name}' has a target with @blocks, which shuffled windows don't have; add"
                ' options: ["--null", "permuted"], or call sparselrp attribute --report'
            )


def read_lines(file):
    return Path(file).read_text().splitlines() if file else []


check_blocks()


def database_file():
    """Give the file that names the motifs, so that a new one makes them anew; a release such as jaspar2026 is none."""
    given = config["motifs"]["database"]
    if given is None:
        return []
    looks_like_a_release = re.fullmatch(r"jaspar\w*(:\w+)?", given, re.IGNORECASE)
    return given if Path(given).exists() or not looks_like_a_release else []


DATABASE_FILE = database_file()


def wanted_files():
    """Give what the workflow makes."""
    wanted = expand(RUN, sample=SAMPLES, model=MODELS)
    for step, path in {
        "motifs": f"{OUT}/reports/{PAIR}.report.html",
        "modisco": f"{OUT}/modisco/{PAIR}.h5",
    }.items():
        if config[step]["enabled"]:
            wanted += for_every_target(path)
    if config["multiqc"]["enabled"]:
        wanted.append(f"{OUT}/multiqc_report.html")
    return wanted


def for_every_target(path):
    """Give a path for every sample, model and target."""
    return [
        path.format(sample=sample, model=model, target=target)
        for sample in SAMPLES
        for model, targets in TARGETS.items()
        for target in targets
    ]


def target_of(wildcards):
    """Give -t of motifs and report, which a model with one target goes without."""
    name = TARGETS[wildcards.model][wildcards.target]
    return "" if name is None else shlex.join(["-t", name])


def labels(what):
    """Say what a file is in the page that `snakemake --report` makes."""

    def of_file(wildcards):
        named = {"sample": wildcards.sample, "model": wildcards.model}
        target = TARGETS[wildcards.model][wildcards.target]
        return {**named, **({} if target is None else {"target": target}), "what": what}

    return of_file


def background(wildcards):
    """Give the null, unless contributions are permuted in its place."""
    found = f"{OUT}/background/{wildcards.sample}.{wildcards.model}.h5"
    return [] if PERMUTED else found


def unpruned(wildcards):
    """Give the best windows without pruning, where the run is pruned and they can be explained alone."""
    model = MODELS[wildcards.model]
    asked = [*map(str, model["targets"]), *read_lines(model.get("targets_file"))]
    plain = model["prune"] == 0 and "--prune-negative" not in model["options"]
    if plain or any("@blocks" in text for text in asked):
        return []
    return f"{OUT}/unpruned/{wildcards.sample}.{wildcards.model}.h5"


def shard_file(suffix):
    """Give the path of a file of a shard; it goes after merging unless shards are kept."""
    path = f"{SHARD}{suffix}"
    return path if config["keep_shards"] else temp(path)


def genome(wildcards):
    return SAMPLES[wildcards.sample]["genome"]


def regions(wildcards):
    """Give the regions, or nothing where whole records are explained."""
    return SAMPLES[wildcards.sample]["regions"] or []


def model_specs(wildcards):
    """Give the file of each member that has one."""
    files = map(member_file, MODELS[wildcards.model]["members"])
    return [file for file in files if file is not None]


def model_weights(wildcards):
    """Give the weights of factories, then those that each folder names, so that new weights make new files."""
    of_folders = [
        str(Path(path).with_name(weights_name(path)))
        for path in model_specs(wildcards)
        if path.endswith(".json")
    ]
    return [*MODELS[wildcards.model]["weights"], *of_folders]


def split_tokens(text):
    """Split what --tokens takes into the file, if it names one, and the rest."""
    name, details = re.fullmatch(r"(.*?)((?:,\w+=[^,]*)*)", text).groups()
    by_ids = "=" in Path(name).name and not Path(name).exists()
    return (None, text) if by_ids else (name, details)


def model_tokens(wildcards):
    """Give the file of tokens of a model that has one, so that another one makes new files."""
    text = MODELS[wildcards.model].get("tokens")
    file = split_tokens(text)[0] if text else None
    return file or []


def tokens_as_options(text, file):
    """Give what --tokens takes as it stands on the command line, from where Snakemake put the file."""
    if not text:
        return []
    name, rest = split_tokens(text)
    return ["--tokens", rest if name is None else f"{file}{rest}"]


def weights_name(path):
    # Where model.json is in a storage that Snakemake hasn't fetched it from yet, the usual name has to do.
    if not Path(path).is_file():
        return "weights.safetensors"
    return json.loads(Path(path).read_text()).get("weights", "weights.safetensors")


def inputs_as_options(wildcards, input):
    """Give regions, if any, and models as they stand on the command line, from where Snakemake put them."""
    regions = ["-r", input.regions] if input.get("regions") else []
    model = MODELS[wildcards.model]
    files = iter(input.model)
    models = [
        part
        for member in model["members"]
        for part in ("-m", member_as_option(member, files))
    ]
    weights = [
        part for path in input.weights[: len(model["weights"])] for part in ("-w", path)
    ]
    tokens = tokens_as_options(model.get("tokens"), input.get("tokens"))
    return shlex.join(map(str, [*regions, *models, *weights, *tokens]))


def member_as_option(member, files):
    """Give a member as it stands behind -m; its file, if it has one, is the next of the files."""
    if member_file(member) is None:
        return member
    file = next(files)
    return f"{file}:{member.rpartition(':')[2]}" if is_factory(member) else file


def settings_as_options(wildcards, input):
    """Give whatever changes numbers as it stands on the command line."""
    model = MODELS[wildcards.model]
    targets = [part for target in model["targets"] for part in ("-t", str(target))]
    file = ["--targets", str(input.targets)] if input.get("targets") else []
    general = [
        "-p",
        str(model["prune"]),
        "-b",
        str(config["batch_size"]),
        "--device",
        config["device"],
    ]
    return shlex.join([*targets, *file, *general, *model["options"]])


def unpruned_settings_as_options(wildcards, input):
    """Give the settings with nothing pruned; the last of an option counts. These windows aren't tiles."""
    words = shlex.split(settings_as_options(wildcards, input))
    if "--tile-overlap" in words:
        at = words.index("--tile-overlap")
        del words[at : at + 2]
    return shlex.join([*words, "-p", "0", "--prune-negative", "0"])


def null_as_options(wildcards, input):
    """Give the null of motifs as it stands on the command line; permuting is among the user's options."""
    background = input.get("background")
    return shlex.join(["--background", str(background)]) if background else ""


def unpruned_as_options(wildcards, input):
    """Give the archive without pruning as it stands on the command line."""
    archive = input.get("unpruned")
    return shlex.join(["--unpruned", str(archive)]) if archive else ""


def targets_file(wildcards):
    """Give the file of targets of a model that has one, so that a new one makes new files."""
    return MODELS[wildcards.model].get("targets_file", [])


def motif_settings_as_options(wildcards, input):
    """Give the database and further options of `sparselrp motifs` as they stand on the command line."""
    database = input.database or config["motifs"]["database"]
    naming = ["--database", str(database)] if database else []
    return shlex.join([*naming, *config["motifs"]["options"]])


def more_memory_each_time(step):
    """Give a function of the attempt: a job that failed may have met the limit."""

    def mem_mb(wildcards, attempt):
        return config["resources"][step]["mem_mb"] * attempt

    return mem_mb
