"""`guardrails limits`: what somebody has used of the limits in a store or file, and a way to begin anew."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from guardrails.cli.usage import UsageError, one_line_errors

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.message import Message
    from guardrails.core.stack import Slot
    from guardrails.ratelimit.use import Use

app: typer.Typer = typer.Typer(
    name="limits",
    help="Look at limits in a store or file, and reset them. Who is meant is read from stdin, and looked up by digest.",
    no_args_is_help=True,
)

_ROLES: Final = ("recipient", "tenant", "conversation", "actor", "channel", "sender")
_BAR: Final = 20  # characters
_MOST: Final = 65_536  # characters of stdin
_WINDOWS: Final = {
    "lease": "at once",
    "calendar-day": "on a day",
    "calendar-week": "in a week",
    "calendar-month": "in a month",
}
_TARGET: Final = "A policy file, module:guard, or a module that makes guards."

Target = Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET)]


@app.command()
def show(
    target: Target,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each limit.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """
    Show what somebody has used, a bar for each limit.

    On stdin: an address, or a line `role=value` for each of recipient, tenant, conversation, actor, channel and sender.
    Limits that count by a role that was not given are left out. No identifier is printed. Limits, leases, caps by calendar and
    counts of unique recipients are shown.
    Exit code 0: shown. 1: the store does not answer. 2: wrong usage, or nothing that counts in a store.
    """
    rows = _each(target, _read(), _usage)
    for layer, control, found in rows:
        for one in found:
            if as_json:
                facts = {"layer": layer, "control": control.name, **asdict(one), "remaining": one.remaining}
                typer.echo(json.dumps(facts))
                continue
            filled = min(_BAR, -(-one.used * _BAR // one.amount))
            when = "room now" if not one.retry_after else f"room in {one.retry_after:.1f} s"
            window = _WINDOWS.get(one.strategy) or f"in {one.window_seconds} s"
            what = "people " if one.strategy == "people" else ""
            bar = f"{'#' * filled:.<{_BAR}}"
            typer.echo(f"{layer:8} {one.limit:24} [{bar}] {one.used} of {one.amount} {what}{window}, {when}")


@app.command()
def reset(
    target: Target,
    limit: Annotated[str | None, typer.Option(metavar="NAME", help="This limit only; else all.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only say what would be.")] = False,  # noqa: FBT002
) -> None:
    """
    Forget what somebody has used, so that the limits begin anew for them.

    Of unique recipients: those that are given, or all whom the sender (or whoever it counts for) has reached.
    On stdin as for `show`. Exit codes as of `show`. With --yes it goes on the audit log of the guards first, if they have
    one: who did it, to which limit, and for whom, by digest. What cannot be recorded is not done.
    """

    def forget(control: Any, message: Message, layer: str) -> int:
        forgotten: int = control.reset(message, layer=layer, limit=limit)
        return forgotten

    def on_record(guards: Sequence[Guard], said: Mapping[str, str]) -> None:
        if not _put_on_record(guards, said, limit):
            typer.echo("guardrails: these guards have no audit log: the reset is not on record", err=True)

    who = _read()
    uses = [one for _, _, found in _each(target, who, _usage) for one in found]
    names = sorted({one.limit for one in uses})
    if limit is not None and limit not in names:
        with one_line_errors():
            raise UsageError(f"--limit: no limit of that name counts for them; there are {', '.join(names)}")
    if not yes:
        total = sum(one.used > 0 for one in uses if limit in (None, one.limit))
        typer.echo(f"{total} counters would be reset; add --yes to do it")
        return
    typer.echo(f"{sum(found for _, _, found in _each(target, who, forget, first=on_record))} counters reset")


def _read() -> str:
    return sys.stdin.read(_MOST)


def _usage(control: Any, message: Message, layer: str) -> Sequence[Use]:
    found: Sequence[Use] = control.usage(message, layer=layer)
    return found


def _put_on_record(guards: Sequence[Guard], said: Mapping[str, str], limit: str | None) -> bool:
    """Say on every audit log of *guards* what is about to be done; whether there is one."""
    logs = {
        id(slot.control): slot.control for slot in _slots(guards) if callable(getattr(slot.control, "note_config", None))
    }
    for control in logs.values():
        log: Any = control
        facts = {"limit": limit or "all", "roles": ",".join(sorted(said)), "user": _user()}
        if "recipient" in said:
            facts["recipient"] = log.digest(said["recipient"], said.get("tenant"))
        try:
            log.note_config("limits reset", **facts)
        finally:
            log.close()
    return bool(logs)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a process whose user has no name
        return "unknown"


def _each(
    target: str,
    asked: str,
    ask: Callable[[Any, Message, str], Any],
    *,
    first: Callable[[Sequence[Guard], Mapping[str, str]], None] | None = None,
) -> list[tuple[str, Any, Any]]:
    """What each limit in a store or file answers about *asked*: its layer, the control, the answer. *first* comes before."""
    from guardrails.core.message import Message  # noqa: PLC0415 - `--help` does not need it
    from guardrails.errors import ConfigError, Denied, Unavailable  # noqa: PLC0415
    from guardrails.proof.target import load  # noqa: PLC0415 - `--help` does not need it

    problem = ""
    with one_line_errors():
        said = _said(asked)
        try:
            guards = load(target)
            controls = list(_controls(guards))
            if not controls:
                raise UsageError(
                    f"{target} has no limits in a store or file; those in memory are known to the process that counts only"
                )
            if first is not None:
                first(guards, said)
            channel = said.pop("channel", None)
            recipient = said.pop("recipient", None)
            found = []
            for layer, control, own_channel in controls:
                who: dict[str, Any] = {**said, "recipients": () if recipient is None else recipient}
                message = Message({}, channel=channel or own_channel, **who)
                found.append((layer, control, ask(control, message, layer)))
        except (ConfigError, Denied) as error:  # a rule for people knows addresses only
            raise UsageError(str(error)) from None
        except Unavailable as error:
            problem = str(error)
        else:
            return found
    typer.echo(f"guardrails: {problem}", err=True)
    raise typer.Exit(1)


def _slots(guards: Iterable[Guard]) -> Iterator[Slot]:
    return (slot for guard in guards for one in guard.family for stack in one.stacks for slot in stack.slots)


def _controls(guards: Iterable[Guard]) -> Iterator[tuple[str, Any, str]]:
    seen: set[int] = set()
    for guard in guards:
        for one in guard.family:
            for stack in one.stacks:
                for slot in stack.slots:
                    control: Any = slot.control
                    kept = callable(getattr(control, "usage", None)) and not getattr(control, "per_process", True)
                    if kept and id(control) not in seen:
                        seen.add(id(control))
                        yield slot.layer, control, one.channel


def _said(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and "=" not in lines[0]:
        return {"recipient": lines[0]}
    said: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        role, mark, value = line.partition("=")
        if not mark or role.strip() not in _ROLES or not value.strip() or role.strip() in said:
            raise UsageError(f"stdin, line {number}: write role=value, each once; the roles are {', '.join(_ROLES)}")
        said[role.strip()] = value.strip()
    if not said:
        raise UsageError("say on stdin who is meant: an address, or lines such as tenant=acme")
    return said
