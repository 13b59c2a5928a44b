"""The configuration, checked, and the functions that the rules use."""

import csv
import json
import math
import re
import shlex
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# Of a configuration: values, and lists and mappings in one another.
MOST_VALUES, DEEPEST = 100_000, 20
# Of a line of the table of samples, and of a sample's name, of which names of files are made.
LONGEST_LINE, LONGEST_NAME = 1 << 16, 100


def count_values(part, depth, counted):
    """Count the values of a part of the configuration, those that an alias stands for each time; too deep is endless."""
    if depth > DEEPEST:
        return math.inf
    if not isinstance(part, (dict, list)):
        return 1
    if id(part) not in counted:
        inner = part.values() if isinstance(part, dict) else part
        counted[id(part)] = 1 + sum(count_values(p, depth + 1, counted) for p in inner)
    return counted[id(part)]


def check_size():
    """Refuse aliases of aliases, which a few lines make so many of that looking through them never ends."""
    if count_values(config, 0, {}) > MOST_VALUES:
        raise WorkflowError(
            f"the configuration has more than {MOST_VALUES:,} values, its aliases written out, or is nested more"
            f" than {DEEPEST} deep; see the schema"
        )


check_size()
validate(config, "../schemas/config.schema.yaml")


def lines_of(table, path):
    """Give the lines of a table, none of which may be too long."""
    number = 0
    while line := table.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE or "\0" in line:
            what = "holds a NUL" if "\0" in line else f"is over {LONGEST_LINE} letters"
            raise WorkflowError(f"{path} line {number} {what}; is it a table?")
        yield line


def read_samples(path):
    """Give the rows of the table of samples by name."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as table:
            lines = lines_of(table, path)
            rows = list(
                csv.DictReader(lines, delimiter="\t", restkey="too many columns")
            )
    except OSError as error:
        raise WorkflowError(f"samples: {path} can't be read: {error.strerror}")
    except (csv.Error, UnicodeDecodeError) as error:
        raise WorkflowError(f"samples: {path} isn't a table of text: {error}")
    samples = {}
    for line, row in enumerate(rows, 2):
        validate(row, "../schemas/samples.schema.yaml")
        if len(row["sample"]) > LONGEST_NAME:
            raise WorkflowError(
                f"{path} line {line}: a name of over {LONGEST_NAME} letters; shorten it"
            )
        if row["sample"] in samples:
            raise WorkflowError(
                f"{path} line {line}: sample '{row['sample']}' is there already; rename one"
            )
        samples[row["sample"]] = row
    if not samples:
        raise WorkflowError(f"{path} has no samples; add a line for each")
    return samples


include: "models.smk"
include: "options.smk"


SAMPLES = read_samples(config["samples"])
OUT = config["outdir"]
# No such resource rather than none of it: some executors take its name for a wish.
GPU = config["resources"]["attribute"]["gpu"]
GPUS = {"gpu": GPU} if GPU else {}
# Whoever submits tries again. A job on a node that did so, too, would use up what is left of its time, and
# memory that it wasn't given.
RETRIES = config["retries"] if workflow.is_main_process else 0
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


def genes(wildcards):
    """Give the genes of a sample's genome, or nothing where none are named."""
    return SAMPLES[wildcards.sample].get("genes") or config["motifs"]["genes"] or []


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
