"""What the rules put on the command line, from where Snakemake put the files."""

import shlex


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


def companions_as_options(wildcards, input):
    """Give what a report shows beside the run as it stands on the command line: no pruning, and genes."""
    files = {name: input.get(name) for name in ("unpruned", "genes")}
    return shlex.join(
        part
        for name, file in files.items()
        if file
        for part in (f"--{name}", str(file))
    )


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
