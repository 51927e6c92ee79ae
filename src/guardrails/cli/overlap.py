"""`guardrails overlap`: which controls matter, and which only repeat the platform's."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from guardrails.cli.log import holds_log, opened
from guardrails.cli.usage import UsageError, one_line_errors


def overlap(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A corpus (JSON lines with texts), or an audit log.")],
    target: Annotated[
        str | None,
        typer.Option("--guard", metavar="TARGET", help="For a corpus: module:guard, a module, or a policy file."),
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with plots and tables.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 if a control is dead, redundant or failing.")] = False,  # noqa: FBT002
) -> None:
    """
    Say which controls matter: each is left out in turn, and what would then have got through is counted.

    With a corpus, messages run through the guards in rehearsals; nothing is sent. Limits and caps are judged where each message
    says when ("at"), leases where it also says for how long ("seconds"). With an audit log (its folder, or the file of a
    SqliteSink), the records are read: they hold no text, so that they say what fired and what it cost, limits too, and not what
    would happen without it.
    Exit code 0: done (with --fail: and every control is needed). 1: with --fail, one is not. 2: wrong usage.
    """
    from guardrails.errors import ConfigError, Unavailable  # noqa: PLC0415 - `--help` does not need it
    from guardrails.proof.ablation import overlap as judged  # noqa: PLC0415
    from guardrails.proof.corpus import read_corpus  # noqa: PLC0415
    from guardrails.proof.target import load  # noqa: PLC0415

    with one_line_errors():
        if holds_log(source):
            with opened(source, may_be_empty=True) as log:
                _from_audit(log.folder, as_json=as_json, fail=fail)
            return
        if target is None:
            raise UsageError("a corpus needs --guard TARGET: whose controls?")
        try:
            corpus = read_corpus(source)
            guards = load(target)
            # A team's guard holds the platform's controls too: the innermost layers say it all.
            tips = [one for guard in guards for one in guard.family if len(one.family) == 1]
            found = [judged(guard, corpus) for guard in tips]
        except (ConfigError, Unavailable) as error:  # a list or store that the guards stand on does not answer
            raise UsageError(str(error)) from None
        if html is not None:
            from guardrails.proof.page import page  # noqa: PLC0415

            try:
                html.write_text(page(found), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"{html} cannot be written ({type(error).__name__})") from None
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
    else:
        for one in found:
            typer.echo(f"{one.guard}: owner {one.owner or 'nobody'}, {one.messages} messages")
            for control in one.controls:
                where = f"  [{control.where}]" if control.where else ""
                typer.echo(f"    {control.verdict:9} {control.sentence(one.messages)}{where}")
            for name, why in one.unjudged.items():
                typer.echo(f"    not judged {name}: {why}")
    bad = any(control.verdict != "needed" for one in found for control in one.controls)
    raise typer.Exit(1 if fail and bad else 0)


def _from_audit(folder: Path, *, as_json: bool, fail: bool) -> None:
    from guardrails.audit import read_records  # noqa: PLC0415
    from guardrails.proof.recorded import recorded  # noqa: PLC0415

    try:
        found = recorded(read_records(folder))
    except OSError as error:
        raise UsageError(f"the audit folder cannot be read ({type(error).__name__})") from None
    if not found:
        raise UsageError(f"{folder}: no record names a control")
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "sentence": one.sentence} for one in found], indent=2))
    else:
        for one in found:
            typer.echo(f"{one.layer:8} {one.sentence}")
        typer.echo("records hold no text: what would get through without a control says a corpus (--guard), and no log")
    if fail and any(not one.acted or one.failed for one in found):
        raise typer.Exit(1)
