"""Every experiment: its script, how long it takes, and the code and data that its figures depend on.

Where a commit changes one of these rooms or files, the figures are older than the code they speak of.
"""

from dataclasses import dataclass

METHODS, PUBLIC = "benchmarks/evidence/methods.py", "benchmarks/evidence/public.py"
INSULATORS, BINDING = "benchmarks/evidence/insulator_peaks.py", "benchmarks/evidence/binding.py"
SEQLETS, JUNCTIONS = "benchmarks/evidence/seqlets.py", "benchmarks/junctions.py"
ATTENTION_SCRIPT = "benchmarks/evidence/attention.py"
INSULATORS_SCRIPT = "benchmarks/evidence/insulators.py"
PLANTED_SCRIPT, SPLICE_SCRIPT = "benchmarks/evidence/planted.py", "benchmarks/evidence/splice.py"
TIMING, SUHW = "benchmarks/timing.py", "models/suhw-dm3"
COMPARISON = ("benchmarks/evidence/comparison.py", "benchmarks/evidence/baselines.py", METHODS, TIMING)
ENGINES = (TIMING, "benchmarks/engines.py", "benchmarks/networks.py", JUNCTIONS, SUHW)
GENOME, PEAKS = "data/chr2R-15-21Mb.fa.gz", "data/suhw-peaks.bed"
MATRIX, JASPAR = "data/suhw-MA0533.1.jaspar", "data/jaspar2026-insects.meme"
COMPARED_PEAKS = (
    *COMPARISON, INSULATORS, BINDING, PUBLIC, SUHW, "data/make_data.py", JASPAR
)  # fmt: skip
FAITHFUL = (
    *COMPARED_PEAKS, ATTENTION_SCRIPT, INSULATORS_SCRIPT, PLANTED_SCRIPT, SPLICE_SCRIPT, JUNCTIONS, GENOME
)  # fmt: skip
ENGINE = ("sequences", "model", "graph", "relevance")
COMMAND = ("cli", "settings", "runs", *ENGINE, "outputs")
GROUPS = {
    "benchmarks": "its scripts",
    "models": "the model",
    "data": "the data",
    "tests": "the tests' inputs",
    "workflow": "the workflow",
}


@dataclass(frozen=True)
class Experiment:
    """An experiment and what its figures depend on.

    Attributes
    ----------
    name : str
        Of its results, and of `make evidence`.
    about : str
    module : str
        In `benchmarks`, such as evidence.synthetic.
    takes : str
        How long, on two cores; empty where nobody has noted it.
    rooms : tuple of str
        Of `sparselrp_cli`.
    files : tuple of str
        Files and folders from the project's root, besides the script.
    arguments : tuple of str
        Given to the script.
    """

    name: str
    about: str
    module: str
    takes: str
    rooms: tuple[str, ...]
    files: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        """Path of the script from the project's root."""
        return f"benchmarks/{self.module.replace('.', '/')}.py"

    @property
    def command(self) -> str:
        """What to type to do the experiment again."""
        return " ".join(["python -m", f"benchmarks.{self.module}", *self.arguments, "--save"])

    @property
    def depends_on(self) -> dict[str, list[str]]:
        """Paths from the project's root, by what they are called together."""
        named = {room: [f"sparselrp_cli/{room}"] for room in self.rooms}
        for path in (self.script, *self.files):
            named.setdefault(GROUPS[path.split("/")[0]], []).append(path)
        return named


EXPERIMENTS = (
    Experiment(
        "faithful-planted", "planted motifs, CNNs of two sizes", "evidence.faithful", "15 min",
        (*ENGINE, "motifs", "evaluation"), FAITHFUL, ("planted",),
    ),
    Experiment(
        "faithful-suhw", "su(Hw), real peaks, the shipped model", "evidence.faithful", "3 min",
        (*ENGINE, "motifs", "evaluation"), FAITHFUL, ("suhw",),
    ),
    Experiment(
        "faithful-insulators", "BEAF-32 and CTCF, real peaks, residual networks", "evidence.faithful",
        "15 min", (*ENGINE, "motifs", "evaluation"), FAITHFUL, ("insulators",),
    ),
    Experiment(
        "faithful-splice", "splice sites, CI-SpliceAI at 10 kb and MMSplice", "evidence.faithful",
        "an hour and a half", (*ENGINE, "motifs", "evaluation"), FAITHFUL, ("splice",),
    ),
    Experiment(
        "attention", "su(Hw) and BEAF-32, real peaks, a network with attention", "evidence.attention",
        "15 min", (*ENGINE, "motifs", "evaluation"), COMPARED_PEAKS,
    ),
    Experiment(
        "profiles", "su(Hw) and BEAF-32, real peaks, a profile network", "evidence.profiles", "20 min",
        (*ENGINE, "motifs", "evaluation"), ("benchmarks/evidence/peak_profiles.py", *COMPARED_PEAKS),
    ),
    Experiment(
        "weak_sites", "weak su(Hw) sites; shuffled weights", "evidence.weak_sites", "2 min",
        (*COMMAND, "evaluation"), (METHODS, SUHW, GENOME, PEAKS, MATRIX),
    ),
    Experiment(
        "gauge", "the same function by other weights of the stem", "evidence.gauge", "5 min",
        (*ENGINE, "motifs", "evaluation"), (*FAITHFUL, "models/insulators-dm3"),
    ),
    Experiment(
        "variants", "variants in su(Hw) sites", "evidence.variants", "20 s",
        (*COMMAND, "evaluation"), (METHODS, SUHW, GENOME, PEAKS, MATRIX),
    ),
    Experiment(
        "images", "images, a VGG-like and a ResNet-like network", "evidence.images", "20 min",
        (*ENGINE, "evaluation"), (METHODS,),
    ),
    Experiment(
        "handover", "hand-over to TF-MoDISco and Fi-NeMo", "evidence.handover", "15 min",
        (*COMMAND, "motifs", "evaluation"), (METHODS, SEQLETS, SUHW, GENOME, PEAKS, JASPAR),
    ),
    Experiment(
        "remedies", "what to do about exact zeros", "evidence.handover", "15 min",
        (*COMMAND, "motifs", "evaluation"), (METHODS, SEQLETS, JASPAR), ("--remedies",),
    ),
    Experiment(
        "seqlets", "seqlets against known sites", "evidence.seqlets", "30 s",
        (*COMMAND, "evaluation", "motifs"), (METHODS, SUHW, GENOME, PEAKS, MATRIX, JASPAR),
    ),
    Experiment(
        "null_calibration", "seqlets where there are none", "evidence.null_calibration", "5 min",
        (*COMMAND, "motifs"), (METHODS, SUHW, GENOME, PEAKS),
    ),
    Experiment(
        "engine_speed", "engines against the gradient, time and memory", "speed.engine_speed", "",
        ENGINE, ENGINES,
    ),
    Experiment(
        "zoo", "every network of the zoo against its gradient", "speed.zoo", "a minute", ENGINE,
        (TIMING, "tests/zoo"),
    ),
    Experiment("selection", "the selection alone", "speed.selection", "", ("relevance",), (TIMING,)),
    Experiment("peers", "against zennit, captum and tangermeme", "speed.peers", "", ENGINE, ENGINES),
    Experiment("growth", "growth with window, batch and windows", "speed.growth", "", ENGINE, ENGINES),
    Experiment("memory", "resident memory over a million windows", "speed.memory", "20 min", COMMAND),
    Experiment(
        "large_models", "Enformer and Borzoi up to their full size", "speed.large_models", "40 min", ENGINE
    ),
    Experiment(
        "whole_command", "the whole command against the engine", "speed.whole_command", "", COMMAND, ENGINES
    ),
    Experiment(
        "report_page", "the report's page, size and time to open", "speed.report_page", "a few minutes",
        ("files", "settings", "sequences", "relevance", "outputs", "report"),
        (TIMING, "benchmarks/browser.py"),
    ),
    Experiment(
        "commands", "whole commands against importing torch", "speed.commands", "5 min",
        (*COMMAND, "files", "report", "evaluation"),
        ("benchmarks/speed/files.py", "benchmarks/speed/whole_command.py", *ENGINES, GENOME, PEAKS, MATRIX),
    ),
    Experiment(
        "files", "archive, track, merge and command", "speed.files", "10 min", (*COMMAND, "files"),
        ("benchmarks/speed/whole_command.py", *ENGINES),
    ),
    Experiment(
        "many", "contigs, records, windows in one place, variants", "speed.many", "2 min",
        (*COMMAND, "files"), (TIMING,),
    ),
    Experiment(
        "targets", "each further target of a model against a forward pass", "speed.targets", "5 min", ENGINE,
        (TIMING, "benchmarks/networks.py", JUNCTIONS),
    ),
    Experiment(
        "motifs", "motifs of 10,000 windows", "speed.motifs", "5 min", (*COMMAND, "files", "motifs"),
        ("benchmarks/speed/files.py", "benchmarks/speed/whole_command.py", *ENGINES, GENOME, PEAKS),
    ),
    Experiment("sparsity", "how sparse trained networks are", "speed.sparsity", "", ENGINE, ENGINES),
    Experiment(
        "scheduler", "what Snakemake takes to plan many shards", "speed.scheduler", "half an hour", (),
        ("workflow",),
    ),
    Experiment(
        "fuzz", "fuzzed input of every kind", "robustness.fuzz", "",
        ("files", *COMMAND), ("tests/hostile",),
    ),
    Experiment(
        "kills", "runs killed at random moments and resumed", "robustness.kills", "", ("files", *COMMAND)
    ),
    Experiment(
        "faults", "a fault at each call that writes, and kills, for every command", "robustness.faults",
        "hours; minutes with --at-most 2 --kills 4", ("files", "motifs", "report", *COMMAND),
        tuple(f"benchmarks/robustness/{name}" for name in (
            "failing_disk.py", "fault_bench.py", "fault_commands.py", "fault_units.py", "fault_verdicts.py",
            "faults.c",
            "forked.py",
        )),
    ),
    Experiment(
        "bounds", "memory and processor time of each kind of input at its worst", "robustness.bounds",
        "twenty minutes", ("sequences", "motifs", "relevance"),
    ),
    Experiment(
        "gpu_agreement", "relevance on a GPU against the CPU", "robustness.gpu_agreement",
        "two minutes on a GPU", ENGINE, ("tests/zoo", SUHW),
    ),
    Experiment(
        "gpu_profile", "where the time goes on a GPU", "speed.gpu_profile", "a quarter of a minute", ENGINE,
        ENGINES,
    ),
)  # fmt: skip
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
