"""List the licences of all that the project brings, and stop where one doesn't suit an MIT tool.

From an environment with the extras test, workflow and supply: python packaging/licences.py

pip-licenses reads them from the installed packages. What the project itself needs may ask for nothing but
naming (MIT, BSD, Apache, PSF and the like), or, as MPL does, for its own files to stay open. A package whose
licence asks more (GPL) may come with an extra only, and stands in `GPL` with that extra.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from types import MappingProxyType

from lock import PROJECT, normalised, of_project, with_what_they_need

EXTRAS = ("test", "workflow", "check", "supply")
FREE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla Public|ISC|Zlib|CC0|Biopython|HPND|Unlicense"
    r"|Public Domain|BSL-1",
    re.IGNORECASE,
)
GPL = MappingProxyType({"igraph": "motifs", "leidenalg": "motifs", "multiqc": "workflow"})
"""Packages under the GPL, which nothing of ours imports, and the extra that brings each. TF-MoDISco imports
the first two; the third is a program that the workflow may run."""
SAID_ELSEWHERE = MappingProxyType(
    {
        "conda-inject": "MIT",
        "hdf5plugin": "MIT, and those of the filters that it bundles (BSD, Apache-2.0, Zlib)",
        "snakemake-interface-common": "MIT",
        "snakemake-interface-logger-plugins": "MIT",
        "snakemake-interface-report-plugins": "MIT",
        "snakemake-interface-scheduler-plugins": "MIT",
        "snakemake-interface-storage-plugins": "MIT",
    }
)
"""Licences that packages state in a file alone."""


def installed() -> dict[str, str]:
    """Give the licence of each package of this environment, by name, on one line."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed", "--with-system"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {normalised(row["Name"]): " ".join(row["License"].split())[:70] for row in found}


def wrong(closure: dict[str, str], licences: dict[str, str]) -> Iterator[str]:
    """Say what doesn't suit, one line each."""
    core = with_what_they_need(list(PROJECT["dependencies"]))
    for name in closure:
        licence = licences[name]
        copyleft = re.search(r"\bA?GPL|General Public", licence) is not None
        choice = copyleft and re.search(r"BSD|MIT|Public Domain", licence) is not None  # one may choose
        if copyleft and not choice and (name not in GPL or name in core):
            yield f"{name}: {licence}: not for what everyone gets; list it with its extra, or do without"
        elif not copyleft and not FREE.search(licence):
            yield f"{name}: {licence}: not known to suit; look, then list it"


def main() -> None:
    closure = with_what_they_need(of_project(EXTRAS))
    found = {name: licence for name, licence in installed().items() if licence != "UNKNOWN"}
    licences = {name: found.get(name) or SAID_ELSEWHERE.get(name, "UNKNOWN") for name in closure}
    for name in sorted(closure):
        extra = f"  (only with the extra '{GPL[name]}')" if name in GPL else ""
        print(f"{name}=={closure[name]}  {licences[name]}{extra}")
    if problems := list(wrong(closure, licences)):
        raise SystemExit("\n".join(problems))
    print(f"{len(closure)} packages, all of them suit; {len(GPL)} under the GPL, with extras only")


if __name__ == "__main__":
    main()
