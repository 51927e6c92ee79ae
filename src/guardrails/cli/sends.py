"""`guardrails sends`: which calls send a message, and which of them no guard stands around."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.output import one_line
from guardrails.cli.usage import UsageError, one_line_errors

_FORMATS = ("table", "json", "sarif")


def sends(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder of Python code, or one file.")],
    own: Annotated[
        list[str] | None,
        typer.Option("--send", metavar="NAME", help="A send of your own: package.module.function, or ...Class.method."),
    ] = None,
    own_file: Annotated[
        Path | None, typer.Option("--sends-file", metavar="FILE", help="Such names, one a line; # begins a comment.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave out paths such as 'migrations/*'.")
    ] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Look into tests too.")] = False,  # noqa: FBT002 - a flag
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json or sarif.")] = "table",
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sites that are known and accepted; only others count.")
    ] = None,
    write_baseline: Annotated[bool, typer.Option("--write-baseline", help="Write the baseline anew.")] = False,  # noqa: FBT002 - a flag
    strict: Annotated[bool, typer.Option("--strict", help="Unknown sites count like unguarded ones.")] = False,  # noqa: FBT002 - a flag
    show_all: Annotated[bool, typer.Option("--all", help="Show guarded sites too.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Find the calls that send a message in Python code: guarded, unguarded or unknown, with file and line. Runs none of it.

    Looks for the sends of known libraries and for your own. Needs the extra `scan`.
    Exit code 0: no unguarded site that the baseline does not know. 1: there are some. 2: wrong usage.
    """
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it

    with one_line_errors():
        if form not in _FORMATS:
            raise UsageError(f"--format is one of {', '.join(_FORMATS)}")
        if write_baseline and baseline is None:
            raise UsageError("--write-baseline goes with --baseline FILE")
        try:
            from guardrails.proof.reading import read_project  # noqa: PLC0415
            from guardrails.proof.sites import GUARDED_SITE, UNGUARDED, UNKNOWN, find_sites, mentions  # noqa: PLC0415

            names = [*(own or ()), *_listed(own_file)]
            project = read_project(path, tests=tests, exclude=exclude or (), relevant=mentions(names))
        except ConfigError as error:
            raise UsageError(str(error)) from None
        sites = find_sites(project, names)
        known = _known(baseline) if baseline is not None and not write_baseline else Counter[str]()
    counted = {UNGUARDED, UNKNOWN} if strict else {UNGUARDED}
    fresh = []
    for site in sites:
        if known[site.fingerprint] > 0:
            known[site.fingerprint] -= 1
        else:
            fresh.append(site)
    if write_baseline and baseline is not None:
        _write(baseline, [site.fingerprint for site in sites if site.state != GUARDED_SITE])
        raise typer.Exit
    wanted = [site for site in fresh if show_all or site.state != GUARDED_SITE]
    totals = Counter(site.state for site in sites)
    if form == "sarif":
        from guardrails.proof.sarif import Result, sarif  # noqa: PLC0415

        results = [
            Result(
                f"guardrails/{site.state}-send",
                "error" if site.state == UNGUARDED else "warning",
                f"{site.send} is called {site.state}: {site.why}. {site.remedy}",
                site.file,
                site.line,
                site.column,
                site.fingerprint,
            )
            for site in wanted
            if site.state != GUARDED_SITE
        ]
        rules = {
            "guardrails/unguarded-send": "A message is sent outside every guard.",
            "guardrails/unknown-send": "This looks like a send, and cannot be told.",
        }
        typer.echo(json.dumps(sarif(rules, results), indent=2))
    elif form == "json":
        found = {
            "counts": {state: totals[state] for state in (GUARDED_SITE, UNGUARDED, UNKNOWN)},
            "sites": [asdict(site) for site in wanted],
            "unreadable": [{"file": file, "why": why} for file, why in project.unreadable],
        }
        typer.echo(json.dumps(found, indent=2))
    else:
        for site in wanted:
            typer.echo(f"{one_line(site.file)}:{site.line}:{site.column}: {site.state}: {site.send} ({site.why})")
            if site.remedy:
                typer.echo(f"    -> {site.remedy}")
        for file, why in project.unreadable:
            typer.echo(f"{one_line(file)}: could not be read ({why})")
        typer.echo(
            f"{len(sites)} send sites: {totals[GUARDED_SITE]} guarded, {totals[UNGUARDED]} unguarded, {totals[UNKNOWN]} unknown"
            + (f"; {len(sites) - len(fresh)} in the baseline" if baseline is not None else "")
        )
    raise typer.Exit(1 if any(site.state in counted for site in fresh) else 0)


def _listed(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--sends-file cannot be read ({type(error).__name__})") from None
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def _known(path: Path) -> Counter[str]:
    try:
        said = json.loads(path.read_text("utf-8"))["sites"]
        return Counter({str(name): int(count) for name, count in said.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UsageError(f"--baseline cannot be read ({type(error).__name__}); make one with --write-baseline") from None


def _write(baseline: Path, accepted: list[str]) -> None:
    told = json.dumps({"version": 1, "sites": dict(sorted(Counter(accepted).items()))}, indent=2)
    with one_line_errors():
        try:
            baseline.write_text(f"{told}\n", "utf-8")
        except OSError as error:
            raise UsageError(f"{baseline} cannot be written ({type(error).__name__})") from None
    typer.echo(f"{len(accepted)} sites written to {baseline}", err=True)
