"""Run `sparselrp attribute` as a Snakemake wrapper."""

import shlex

from snakemake.shell import shell

job = snakemake  # noqa: F821  Snakemake puts it in front of this script

# What each named output asks for, and how its name goes on after the prefix.
ENDINGS = {
    "archive": ("h5", ".h5"),
    "windows": (None, ".windows.tsv"),
    "skipped": (None, ".skipped.tsv"),
    "manifest": (None, ".manifest.json"),
    "multiqc": (None, "_mqc.tsv"),
    "bigwig": ("bigwig", ".bw"),
    "bedgraph": ("bedgraph", ".bedgraph.gz"),
    "ohe": ("modisco", ".ohe.npz"),
    "attr": ("modisco", ".attr.npz"),
    "narrowpeak": ("finemo", ".regions.narrowPeak"),
}

prefix = str(job.output.archive).removesuffix(".h5")
formats = {"h5": None}
for name, path in job.output.items():
    if name not in ENDINGS:
        raise ValueError(f"output '{name}' isn't known; choose among {', '.join(ENDINGS)}")
    output_format, ending = ENDINGS[name]
    if str(path) != prefix + ending:
        raise ValueError(f"output '{name}' is {path}; with this archive it has to be {prefix}{ending}")
    if output_format:
        formats[output_format] = None

regions = job.input.get("regions")
models = job.input.model
models = [models] if isinstance(models, str) else models
targets = job.params.get("targets", [])
targets = [targets] if isinstance(targets, str | int) else targets
words = [
    str(job.input.sequences),
    *(["-r", str(regions)] if regions else []),
    *(part for model in models for part in ("-m", str(model))),
    *(part for target in targets for part in ("-t", str(target))),
    *["-p", str(job.params.get("prune", 0.02)), "--threads", str(job.threads)],
    *["--formats", ",".join(formats), "-o", prefix],
]
command = shlex.join(words)
extra = job.params.get("extra", "")
log = job.log_fmt_shell(stdout=False, stderr=True)

shell("exec sparselrp attribute --resume {command} {extra} {log}")
