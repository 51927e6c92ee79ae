"""`guardrails policy`: check, explain and compare policy files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guardrails.policy.version import Version

app: typer.Typer = typer.Typer(name="policy", help="Check, explain and compare policies.", no_args_is_help=True)

PolicyPath = Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")]
DIFFERENT = 1  # examples failed, or something is looser


@contextmanager
def told() -> Iterator[None]:
    """Say what is wrong, with a policy one problem a line, and end with exit code 2."""
    from guardrails.errors import GuardrailsError  # noqa: PLC0415 - `--help` does not need it

    try:
        yield
    except GuardrailsError as error:
        problem = str(error)
    else:
        return
    typer.echo(f"guardrails: {problem}", err=True)
    raise typer.Exit(2)


def read(path: Path, *, tried: bool = False) -> Version:
    """The policy in *path*, with *tried* to make no file; ends the command if something is wrong with it."""
    from guardrails.policy.version import read_version  # noqa: PLC0415 - `--help` does not need it

    return read_version(path, tried=tried)


@app.command()
def check(
    file: PolicyPath,
    junit: Annotated[
        Path | None, typer.Option(metavar="XML", help="Write the outcome of each example as JUnit XML.")
    ] = None,
) -> None:
    """
    Check a policy and run its examples.

    Exit code 0: it can be used, and every example holds. 1: an example fails. 2: it cannot be used; every problem is named
    with file, line and column.
    """
    with told():
        from guardrails.policy.examples import outcomes  # noqa: PLC0415 - `--help` does not need it
        from guardrails.policy.junit import broken  # noqa: PLC0415
        from guardrails.policy.junit import junit as as_junit  # noqa: PLC0415
        from guardrails.policy.problems import PolicyError  # noqa: PLC0415
        from guardrails.policy.stacks import all_made  # noqa: PLC0415

        try:
            version = read(file, tried=True)
            tried = list(outcomes(all_made(version)))
        except PolicyError as error:
            _write(junit, broken(str(file), error.problems))
            raise
        _write(junit, as_junit(str(file), tried))
    failed = [failure for _, failure in tried if failure is not None]
    for failure in failed:
        typer.echo(f"{failure.place}: {failure.name}: {failure.text}", err=True)
    if not tried:
        typer.echo(f"guardrails: warning: {file} has no examples: nothing says that it does what it should", err=True)
    typer.echo(f"{file}: {len(tried) - len(failed)} of {len(tried)} examples hold; {version.digest}")
    raise typer.Exit(DIFFERENT if failed else 0)


def _write(path: Path | None, text: str) -> None:
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it

    if path is None:
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = error.strerror or type(error).__name__
    else:
        return
    raise ConfigError(f"{path} cannot be written ({problem})")


@app.command()
def explain(
    file: PolicyPath,
    channel: Annotated[str | None, typer.Option(help="Of messages on this channel.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Of messages of this tenant.")] = None,
    team: Annotated[str | None, typer.Option(help="Of this team's guard.")] = None,
) -> None:
    """Show the controls in their order, and each setting with the line that it comes from."""
    with told():
        from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
        from guardrails.policy.channels import checked_channel  # noqa: PLC0415
        from guardrails.policy.explain import explained  # noqa: PLC0415
        from guardrails.policy.problems import nearest  # noqa: PLC0415
        from guardrails.policy.tenants import checked_tenant  # noqa: PLC0415

        version = read(file, tried=True)
        if team is not None and team not in version.known("teams"):
            raise ConfigError(f"{file} has no team {team!r}{nearest(team, version.known('teams'))}")
        if channel is not None:
            checked_channel(channel, version.known("channels"), str(file))
        if tenant is not None:
            checked_tenant(tenant, version.known("tenants"), str(file))
        parts = explained(version, channel=channel, tenant=tenant, team=team)
    typer.echo(f"{file}: {version.digest}")
    width = max((len(line.setting) for part in parts for line in part.lines), default=0)
    wide = min(40, max((len(line.value) for part in parts for line in part.lines), default=0))
    for number, part in enumerate(parts, 1):
        typer.echo(f"{number}. {part.name}  {part.layer}  {part.mode}")
        for line in part.lines:
            typer.echo(f"   {line.setting:<{width}}  {line.value:<{wide}}  {line.said}")


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A policy file.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.")],
    fail_on_looser: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--fail-on-looser", help="Exit code 1 unless everything is equal or tighter.")
    ] = False,
) -> None:
    """
    Show what is tighter and what is looser in AFTER than in BEFORE.

    Each line begins with `tighter`, `looser` or `changed` (neither of both). Exit code 0; with --fail-on-looser 1 if anything is
    looser or changed; 2 if a file cannot be used.
    """
    with told():
        from guardrails.policy.compare import changes  # noqa: PLC0415 - `--help` does not need it
        from guardrails.policy.explain import shown  # noqa: PLC0415
        from guardrails.policy.order import TIGHTER, UNRELATED  # noqa: PLC0415
        from guardrails.policy.reading import spelled  # noqa: PLC0415
        from guardrails.policy.setting import Settings  # noqa: PLC0415

        found = list(changes(read(before, tried=True), read(after, tried=True)))

    def value(one: object, name: str) -> str:
        return "nothing" if one is None else "settings" if isinstance(one, Settings) else shown(one, name)

    for change in found:
        word = "changed" if change.relation is UNRELATED else change.relation.value
        name = str(change.at[-1])
        typer.echo(f"{word:<7}  {spelled(change.at)}: {value(change.before, name)} -> {value(change.after, name)}")
    if not found:
        typer.echo("equal")
    loose = any(change.relation is not TIGHTER for change in found)
    raise typer.Exit(DIFFERENT if fail_on_looser and loose else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    from guardrails.policy.schema import schema_text  # noqa: PLC0415 - `--help` does not need it

    typer.echo(schema_text(), nl=False)
