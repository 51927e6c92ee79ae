"""
How often `guardrails sends` is wrong: on real projects, from the package index, against a list that was checked by hand.

    python -m bench.sends [FOLDER]     FOLDER holds sdists that are there already; others are fetched into a temporary folder

A call is a *send* when it hands a message to one of the libraries that the command knows. What goes out by HTTP, sockets or other
libraries is not looked for. A *false alarm* is a site that is none; *missed* is a send that was not reported. `sends.json` is the
list: who wants to check it finds the lines in the sdists of those versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from guardrails.proof.reading import read_project
from guardrails.proof.sites import UNKNOWN, find_sites, mentions

CHECKED = Path(__file__).with_suffix(".json")


class Scanned(NamedTuple):
    """One project: what was reported, and what of it was wrong."""

    name: str
    files: int
    lines: int
    seconds: float
    unguarded: int
    unknown: int
    false_alarms: list[str]
    missed: list[str]
    sends: int


def fetched(name: str, version: str, folder: Path) -> Path:
    """The project's folder, unpacked; its sdist is fetched by pip unless it lies in *folder*."""
    stem = f"{name.replace('-', '_')}-{version}"
    archive = folder / f"{stem}.tar.gz"
    if not archive.exists():
        arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:"]
        subprocess.run(  # noqa: S603 - the ordinary client
            [sys.executable, "-m", "pip", *arguments, "--dest", str(folder), f"{name}=={version}"], check=True
        )
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked" / stem


def scanned(project: dict[str, Any], root: Path) -> Scanned:
    """What the command says of *root*, against what was checked."""
    began = time.perf_counter()
    read = read_project(root, tests=False, relevant=mentions())
    sites = find_sites(read)
    took = time.perf_counter() - began
    sends = set(project["sends"])
    reported = {f"{site.file}:{site.line}" for site in sites}
    unknown = sum(site.state == UNKNOWN for site in sites)
    return Scanned(
        project["name"],
        len(read.modules),
        sum(module.path.read_bytes().count(b"\n") for module in read.modules.values()),
        took,
        len(sites) - unknown,
        unknown,
        sorted(reported - sends),
        [] if "partly" in project else sorted(sends - reported),
        len(reported & sends) if "partly" in project else len(sends),
    )


def all_scanned(folder: Path) -> Iterator[Scanned]:
    """Every project of the list."""
    for project in json.loads(CHECKED.read_text("utf-8"))["projects"]:
        yield scanned(project, fetched(project["name"], project["version"], folder))


def report(found: list[Scanned]) -> str:
    """For people."""
    lines = [
        f"  {'project':34} {'files':>6} {'lines':>8} {'seconds':>8} {'unguarded':>9} {'unknown':>8} {'false':>6} {'missed':>7}"
    ]
    lines += [
        f"  {one.name:34} {one.files:6,} {one.lines:8,} {one.seconds:8.1f} {one.unguarded:9} {one.unknown:8}"
        f" {len(one.false_alarms):6} {len(one.missed):7}"
        for one in found
    ]
    reported = sum(one.unguarded + one.unknown for one in found)
    wrong = sum(len(one.false_alarms) for one in found)
    missed, sends = sum(len(one.missed) for one in found), sum(one.sends for one in found)
    total = sum(one.lines for one in found)
    judged = f"{reported} sites reported, {wrong} of them false alarms; {missed} of {sends} sends missed"
    lines += [
        f"{len(found)} projects, {total:,} lines: {judged}",
        *(f"  false alarm  {one.name} {site}" for one in found for site in one.false_alarms),
        *(f"  missed       {one.name} {site}" for one in found for site in one.missed),
    ]
    return "\n".join(lines)


def main() -> None:
    """Fetch, scan, and print what was wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        print(report(list(all_scanned(folder))))


if __name__ == "__main__":
    main()
