"""The configuration, checked, and the functions that the rules use."""

import csv
import json
import re
import shlex
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
    """Give the models by name, each with the list of its members, which are averaged, and of their weights."""
    return {
        name: {
            **model,
            "members": as_list(model.get("folders", model.get("model"))),
            "weights": as_list(model.get("weights", [])),
        }
        for name, model in config["models"].items()
    }


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
    if Path(member).suffix in (".json", ".pt2", ".pt", ".pth", ".torch"):
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
            *(["modisco"] if config["modisco"]["enabled"] else []),
        ]
    )
)
RUN = f"{OUT}/{{sample}}.{{model}}"
SHARD = f"{OUT}/shards/{{sample}}.{{model}}/{{shard}}-of-{len(SHARDS)}"


wildcard_constraints:
    sample="|".join(SAMPLES),
    model="|".join(MODELS),
    shard=r"\d+",


def check_targets(step):
    """Refuse motifs of several targets, whose files have other names."""
    for name, model in MODELS.items():
        if config[step]["enabled"] and len(model["targets"]) > 1:
            raise WorkflowError(
                f"{step}: model '{name}' has {len(model['targets'])} targets, and motifs are found for one;"
                " enter the model once for each target, under names of its own"
            )


check_targets("motifs")
check_targets("modisco")


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
    patterns = {
        "motifs": f"{OUT}/reports/{{sample}}.{{model}}.report.html",
        "modisco": f"{OUT}/modisco/{{sample}}.{{model}}.h5",
        "multiqc": f"{OUT}/multiqc_report.html",
    }
    wanted = [
        RUN,
        *(path for step, path in patterns.items() if config[step]["enabled"]),
    ]
    return expand(wanted, sample=SAMPLES, model=MODELS)


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


def settings_as_options(wildcards):
    """Give whatever changes numbers as it stands on the command line."""
    model = MODELS[wildcards.model]
    targets = [part for target in model["targets"] for part in ("-t", str(target))]
    general = [
        "-p",
        str(model["prune"]),
        "-b",
        str(config["batch_size"]),
        "--device",
        config["device"],
    ]
    return shlex.join([*targets, *general, *model["options"]])


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
