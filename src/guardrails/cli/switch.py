"""`guardrails switch`: block sends or bypass a control for a while, everywhere within a second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardrails.cli.policy import read, told

if TYPE_CHECKING:
    from guardrails.policy.switches.switch import Switch
    from guardrails.policy.version import Version

app: typer.Typer = typer.Typer(name="switch", help="Block sends, or bypass a control for a while.", no_args_is_help=True)

PolicyOption = Annotated[Path, typer.Option("--policy", metavar="FILE", help="The policy whose switches these are.")]
KeyOption = Annotated[Path, typer.Option("--key", metavar="PEM", help="The operator's private key.")]
NameOption = Annotated[str, typer.Option("--as", metavar="NAME", help="The operator, as the policy names them.")]
ScopeOption = Annotated[
    list[str], typer.Option("--scope", metavar="SCOPE", help="everything, channel=NAME or tenant=ID; again for both.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for people.")]
POLICY = Path("guardrails.yaml")


@app.command("block-all")
def block_all(
    scope: ScopeOption,
    reason: ReasonOption,
    key: KeyOption,
    operator: NameOption,
    policy: PolicyOption = POLICY,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Such as 15m; without it until it is lifted.")
    ] = None,
) -> None:
    """Refuse every send in a scope, until it is lifted."""
    with told():
        version = read(policy)
        switch = _switch("block-all", operator, scope, reason, duration)
        _check_scope(version, switch)
        _put(version, switch, key)
    typer.echo(f"{switch.id}  block-all  {switch.scope}")


@app.command()
def bypass(
    control: Annotated[str, typer.Argument(metavar="CONTROL", help="The control, as records name it.")],
    scope: ScopeOption,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="Such as 15m.")],
    reason: ReasonOption,
    key: KeyOption,
    operator: NameOption,
    policy: PolicyOption = POLICY,
) -> None:
    """Let sends pass without one control for a while, if the policy names it as bypassable."""
    with told():
        from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
        from guardrails.policy.problems import nearest  # noqa: PLC0415
        from guardrails.policy.switches.making import longest_of  # noqa: PLC0415
        from guardrails.policy.values import spelled  # noqa: PLC0415

        version = read(policy)
        longest = longest_of(version.platform)
        if control not in longest:
            raise ConfigError(f"{policy} lets nobody bypass {control!r}{nearest(control, longest)}")
        switch = _switch("bypass", operator, scope, reason, duration, control=control)
        _check_scope(version, switch)
        if switch.until is None or switch.until - switch.issued > longest[control] + 1e-6:
            raise ConfigError(f"{policy} lets {control} be bypassed for at most {spelled(longest[control])}")
        _put(version, switch, key)
    typer.echo(f"{switch.id}  bypass {control}  {switch.scope}")


@app.command()
def lift(
    switch_id: Annotated[str, typer.Argument(metavar="ID", help="Of a switch, or how it begins.")],
    key: KeyOption,
    operator: NameOption,
    policy: PolicyOption = POLICY,
) -> None:
    """End a switch now. It does not come back, whatever is written again."""
    with told():
        from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
        from guardrails.policy.switches.switch import LIFT, Switch, is_id, new_id  # noqa: PLC0415

        version = read(policy)
        found = [one.id for one in _on(version) if one.id.startswith(switch_id)]
        if not found and is_id(switch_id):  # a quarantine that holds in one process is in no store
            found = [switch_id]
        if len(found) != 1:
            raise ConfigError(f"{len(found)} switches that are on begin with {switch_id!r}; see guardrails switch status")
        switch = Switch(id=new_id(), kind=LIFT, operator=operator, issued=_now(), lifts=found[0])
        _put(version, switch, key)
    typer.echo(f"{found[0]}  lifted")


@app.command()
def status(policy: PolicyOption = POLICY) -> None:
    """Show which switches are on. Exit code 0: none. 1: some are."""
    with told():
        from datetime import UTC, datetime  # noqa: PLC0415 - `--help` does not need it

        on = _on(read(policy))
    for switch in on:
        until = (
            "until it is lifted" if switch.until is None else f"until {datetime.fromtimestamp(switch.until, UTC):%FT%TZ}"
        )
        what = switch.kind if switch.control is None else f"{switch.kind} {switch.control}"
        typer.echo(f"{switch.id}  {what}  {switch.scope}  {until}  {switch.operator}: {switch.reason}")
    if not on:
        typer.echo("no switch is on")
    raise typer.Exit(1 if on else 0)


def _now() -> float:
    return time.time_ns() / 1e9


def _switch(
    kind: str, operator: str, scopes: list[str], reason: str, duration: str | None, *, control: str | None = None
) -> Switch:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - `--help` does not need it

    from guardrails.errors import ConfigError  # noqa: PLC0415
    from guardrails.policy.switches.switch import Switch, new_id  # noqa: PLC0415
    from guardrails.policy.values import seconds  # noqa: PLC0415

    scope: dict[str, Any] = {}
    for one in scopes:
        name, equals, value = one.partition("=")
        if one != "everything" and (name not in ("channel", "tenant") or not equals or not value or name in scope):
            raise ConfigError("--scope is everything, channel=NAME or tenant=ID")
        if one != "everything":
            scope[name] = value
    if len(scopes) > max(1, len(scope)):
        raise ConfigError("--scope everything stands alone")
    issued = _now()
    try:
        until = None if duration is None else issued + seconds(duration)
    except PydanticCustomError as error:
        raise ConfigError(f"--for is {error}") from None
    return Switch(
        id=new_id(), kind=kind, operator=operator, issued=issued, until=until, control=control, reason=reason, **scope
    )


def _check_scope(version: Version, switch: Switch) -> None:
    """Refuse a scope that is a slip of a name in the policy, and say where a name is in no policy: it may be right."""
    from guardrails.policy.channels import checked_scope  # noqa: PLC0415 - `--help` does not need it
    from guardrails.policy.tenants import checked_tenant  # noqa: PLC0415

    file, tenants = version.document.file, version.known("tenants")
    unknown = []
    if switch.channel is not None and not checked_scope(switch.channel, version.known("channels"), file):
        unknown.append(f"channel {switch.channel!r}")
    if switch.tenant is not None:
        checked_tenant(switch.tenant, tenants, file)
        if tenants and switch.tenant not in tenants:
            unknown.append(f"tenant {switch.tenant!r}")
    for one in unknown:
        typer.echo(f"guardrails: {file} does not name the {one}: the switch holds for messages that do", err=True)


def _put(version: Version, switch: Switch, key: Path) -> None:
    """Sign a switch as its operator, check it as a sender would, and put it where senders look."""
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.keys.operator import private_key  # noqa: PLC0415
    from guardrails.policy.switches.making import operators_of, store_for  # noqa: PLC0415
    from guardrails.policy.switches.switch import BLOCK_ALL, Forged, signed, verified  # noqa: PLC0415

    settings = version.platform.switches
    if settings is None:
        raise ConfigError(f"{version.document.file} has no platform.switches")
    quarantine = version.platform.quarantine
    if quarantine is not None and switch.operator == quarantine.operator and switch.kind != BLOCK_ALL:
        raise ConfigError(f"{switch.operator} is the operator of platform.quarantine, and can do nothing but block")
    line = signed(switch, private_key(key))
    try:
        verified(line, operators_of(settings))
    except Forged as error:
        problem = str(error)
    else:
        store_for(version, settings).append(line)
        return
    raise ConfigError(f"this switch would not count: {problem}")


def _on(version: Version) -> list[Switch]:
    from guardrails.errors import ConfigError  # noqa: PLC0415 - `--help` does not need it
    from guardrails.policy.switches.board import system_clocks  # noqa: PLC0415
    from guardrails.policy.switches.making import state_of, store_for  # noqa: PLC0415

    settings = version.platform.switches
    if settings is None:
        raise ConfigError(f"{version.document.file} has no platform.switches")
    state = state_of(version)
    state.read(store_for(version, settings).read(), system_clocks())
    return [one.switch for one in state.on.values()]
