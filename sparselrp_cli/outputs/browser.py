"""Files that open a run's tracks in genome browsers: IGV, UCSC, WashU."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from sparselrp_cli.errors import InputError
from sparselrp_cli.files.atomic import replacing, reported
from sparselrp_cli.files.belonging import is_made_of, listed, manifest_path, read_record, why_not
from sparselrp_cli.files.lock import locked

logger = logging.getLogger("sparselrp")

BEDS = {"hits.bed": "hits of the motifs", "seqlets.bed": "seqlets"}
BROWSER_ENDINGS = ("igv.xml", "hub.txt", "igv.json", "datahub.json")

NOBODY = "unknown@example.org"
"""UCSC wants an address in every hub, and shows it to nobody but its own staff."""


def write_browser_files(
    prefix: Path, genome: str, *, url: str | None = None, locus: str | None = None, email: str = NOBODY
) -> list[Path]:
    """Write a session for IGV and a track hub for UCSC, and, with an address, what IGV-Web and WashU open.

    The first two name the tracks by their file names, so that the folder can be moved as a whole. Each base
    is a letter as high as its contribution (dynseq), except in the session for IGV, which has bars.

    Parameters
    ----------
    prefix : Path
        Of a run, of `variants` or of `export`; the bigWigs that its manifest lists are shown, and the BED
        files of `motifs` if they were made of its archive, see `files.belonging`.
    genome : str
        The browser's name of the assembly, such as ``hg38``; for IGV also a FASTA file.
    url : str, optional
        Where the folder will be on the web.
    locus : str, optional
        What IGV shows first.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If there is no bigWig, or one isn't as its manifest lists it.
    OutputError
    """
    with locked(prefix):
        tracks, beds = _tracks(prefix), _beds(prefix)
        texts = [_igv(tracks, beds, genome, locus), _ucsc(prefix, tracks, genome, email)]
        if url is not None:
            texts += [_igv_web(tracks, beds, genome, url, locus), _washu(tracks, url)]
        written = []
        for ending in BROWSER_ENDINGS[len(texts) :]:
            # Without an address what an earlier call wrote with one would be of other tracks.
            before = prefix.with_name(f"{prefix.name}.{ending}")
            with reported(before):
                before.unlink(missing_ok=True)
        for ending, text in zip(BROWSER_ENDINGS, texts, strict=False):
            written.append(prefix.with_name(f"{prefix.name}.{ending}"))
            with replacing(written[-1]) as hidden:
                hidden.write_text(text, encoding="utf-8", newline="\n")
    return written


def _tracks(prefix: Path) -> list[Path]:
    """Find the bigWigs of a run, each as its manifest lists it.

    Raises
    ------
    InputError
    """
    record = read_record(manifest_path(prefix))
    if record is None:
        raise InputError(
            f"{manifest_path(prefix)} is missing, which says which files belong together; finish the run, or"
            f" make tracks with `sparselrp export {prefix}.h5 --formats bigwig`"
        )
    files = listed(record)
    found = sorted(prefix.with_name(name) for name in files if name.endswith(".bw"))
    if not found:
        raise InputError(
            f"{prefix}: no {prefix.name}.bw; make it with `sparselrp export {prefix}.h5 --formats bigwig`"
        )
    for path in found:
        if reason := why_not(path, files):
            raise InputError(
                f"{path} {reason} by the run of {manifest_path(prefix).name}; make it again with `sparselrp"
                f" export {prefix}.h5 --formats bigwig`"
            )
    return found


def _beds(prefix: Path) -> dict[Path, str]:
    """Find what `motifs` made of the run's archive, with what to call it; the log names what isn't."""
    of_run = listed(read_record(manifest_path(prefix))).get(f"{prefix.name}.h5")
    record = read_record(prefix.with_name(f"{prefix.name}.motifs.json"))
    found = {}
    for ending, what in BEDS.items():
        path = prefix.with_name(f"{prefix.name}.{ending}")
        if not path.is_file():
            continue
        if (
            of_run is None
            or not is_made_of(record, of_run.sha256)
            or why_not(path, listed(record, f"{prefix.name}."))
        ):
            logger.warning("%s isn't of this run, and left out; make it again with `sparselrp motifs`", path)
        else:
            found[path] = f"{prefix.name} {what}"
    return found


def _igv(tracks: Sequence[Path], beds: Mapping[Path, str], genome: str, locus: str | None) -> str:
    session = ET.Element("Session", genome=genome, locus=locus or "All", version="8")
    resources = ET.SubElement(session, "Resources")
    for path in (*tracks, *beds):
        ET.SubElement(resources, "Resource", path=path.name)
    panel = ET.SubElement(session, "Panel", name="DataPanel", height="400")
    for path in tracks:
        ET.SubElement(
            panel, "Track", id=path.name, name=path.stem, clazz="org.broad.igv.track.DataSourceTrack",
            autoScale="true", height="100", renderer="BAR_CHART", windowFunction="mean",
        )  # fmt: skip
    for path, name in beds.items():
        ET.SubElement(panel, "Track", id=path.name, name=name, clazz="org.broad.igv.track.FeatureTrack")
    ET.indent(session)
    return ET.tostring(session, encoding="unicode", xml_declaration=True) + "\n"


def _igv_web(
    tracks: Sequence[Path], beds: Mapping[Path, str], genome: str, url: str, locus: str | None
) -> str:
    """Write a session of igv.js, which needs whole addresses."""
    base = url.rstrip("/")
    shown: list[dict[str, object]] = [
        {
            "name": path.stem, "type": "wig", "format": "bigwig", "url": f"{base}/{quote(path.name)}",
            "graphType": "dynseq", "autoscale": True, "height": 120,
        }
        for path in tracks
    ]  # fmt: skip
    shown += [
        {"name": name, "type": "annotation", "format": "bed", "url": f"{base}/{quote(path.name)}"}
        for path, name in beds.items()
    ]
    session = {"genome": genome, **({"locus": locus} if locus else {}), "tracks": shown}
    return json.dumps(session, indent=1) + "\n"


def _ucsc(prefix: Path, tracks: Sequence[Path], genome: str, email: str) -> str:
    """Write a hub in one file, as UCSC's track database definition for hubs says."""
    name = _line(prefix.name)
    lines = [
        f"hub {_word(prefix.name)}",
        f"shortLabel {name[:17]}",
        f"longLabel {name}: contribution of each base",
        "useOneFile on",
        f"email {_line(email)}",
        "",
        f"genome {_line(genome)}",
        "",
    ]
    for path in tracks:
        lines += [
            f"track {_word(path.stem)}", "type bigWig", f"bigDataUrl {quote(path.name)}",
            f"shortLabel {_line(path.stem)[:17]}", f"longLabel {_line(path.stem)}: contribution of each base",
            "visibility full", "autoScale on", "alwaysZero on", "maxHeightPixels 128:64:16", "logo on", "",
        ]  # fmt: skip
    return "\n".join(lines)


def _washu(tracks: Sequence[Path], url: str) -> str:
    base = url.rstrip("/")
    hub = [
        {"type": "dynseq", "name": path.stem, "url": f"{base}/{quote(path.name)}", "options": {"height": 100}}
        for path in tracks
    ]
    return json.dumps(hub, indent=1) + "\n"


def _word(text: str) -> str:
    """UCSC takes letters, digits and underscores, and a letter first."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", text)
    return word if word[:1].isalpha() else f"t{word}"


def _line(text: str) -> str:
    return " ".join(text.split())
