"""Run `sparselrp attribute` as a Snakemake wrapper."""

import shlex

from snakemake.shell import shell

from sparselrp_cli.outputs.formats import FORMATS

job = snakemake  # noqa: F821  Snakemake puts it in front of this script

ARCHIVE = ".h5"
# How the names of files that every run writes go on after the prefix.
OF_EVERY_RUN = (ARCHIVE, ".windows.tsv", ".skipped.tsv", ".manifest.json", "_mqc.tsv")
# Of several formats that write a file the first of the table asks for it.
FORMAT_OF = {
    f".{ending}": row.name
    for row in reversed(FORMATS.values())
    for product in row.products
    for ending in product.endings
}

prefix = str(job.output.archive).removesuffix(ARCHIVE)
formats = {"h5": None}
for name, path in job.output.items():
    ending = str(path).removeprefix(prefix)
    if ending in FORMAT_OF:
        formats[FORMAT_OF[ending]] = None
    elif ending not in OF_EVERY_RUN:
        known = ", ".join(prefix + end for end in (*OF_EVERY_RUN, *FORMAT_OF))
        raise ValueError(f"output '{name}' is {path}; with this archive it is one of {known}")

regions = job.input.get("regions")
models = job.input.model
models = [models] if isinstance(models, str) else models
targets = job.params.get("targets", [])
targets = [targets] if isinstance(targets, str | int) else targets
prune = job.params.get("prune")
words = [
    str(job.input.sequences),
    *(["-r", str(regions)] if regions else []),
    *(part for model in models for part in ("-m", str(model))),
    *(part for target in targets for part in ("-t", str(target))),
    *([] if prune is None else ["-p", str(prune)]),
    *["--threads", str(job.threads)],
    *["--formats", ",".join(formats), "-o", prefix],
]
command = shlex.join(words)
extra = job.params.get("extra", "")
log = job.log_fmt_shell(stdout=False, stderr=True)

shell("exec sparselrp attribute --resume {command} {extra} {log}")
