"""The switchboard that a policy means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from guardrails.errors import ConfigError
from guardrails.keys.operator import private_key
from guardrails.policy import model
from guardrails.policy.problems import PolicyError
from guardrails.policy.switches.board import Switchboard
from guardrails.policy.switches.quarantine import ITSELF, Quarantine
from guardrails.policy.switches.state import State
from guardrails.policy.switches.store import FileStore, ServerStore, Store
from guardrails.policy.switches.switch import BLOCK_ALL, Forged, Switch, new_id, public_key, signed, verified
from guardrails.policy.tightening import PLATFORM
from guardrails.policy.version import Version, placed

if TYPE_CHECKING:
    from guardrails.policy.document import At

_AT: At = (PLATFORM, "switches")
KEY = "guardrails:switches"
SEAL_HITS = 3
WINDOW_SECONDS = 60.0


def switchboard_for(
    version: Version,
    *,
    before: Switchboard | None = None,
    changed: Callable[[Mapping[str, str]], None] | None = None,
) -> Switchboard | None:
    """
    The switches of *version*; None where it has none.

    Args:
        version: The policy.
        before: Those of the version in force, whose blocks stay.
        changed: Told what is on whenever that changes.

    Raises:
        PolicyError: Their store cannot be used.
    """
    settings = version.platform.switches
    if settings is None:
        return None
    try:
        state = state_of(version)
        board = Switchboard(store_for(version, settings), state, changed=changed)
        board.quarantine = _quarantine(version, settings, board)
    except ConfigError as error:
        problems = placed(version, _AT, error)
    else:
        if before is not None:
            state.follow(before.state)
        return board
    raise PolicyError(version.document.file, problems)


def state_of(version: Version) -> State:
    """Nothing is on, and these signatures count."""
    switches, quarantine = version.platform.switches, version.platform.quarantine
    operators = {} if switches is None else operators_of(switches)
    watchman = None if quarantine is None else quarantine.operator
    return State(operators, longest_of(version.platform), watchman=watchman)


def _quarantine(version: Version, switches: model.Switches, board: Switchboard) -> Quarantine | None:
    settings = version.platform.quarantine
    if settings is None:
        return None
    sign: Callable[[Switch], bytes] | None = None
    if settings.operator is not None:
        sign = partial(signed, key=private_key(version.controls.path(settings.key_file or "")))
        trial = Switch(id=new_id(), kind=BLOCK_ALL, operator=settings.operator, issued=0.0)
        try:
            verified(sign(trial), operators_of(switches))
        except Forged:
            sign = None
        if sign is None:
            raise ConfigError("quarantine.key_file is not the key of quarantine.operator", control="policy")
    return Quarantine(
        board,
        seal_hits=settings.seal_hits or SEAL_HITS,
        window_seconds=settings.within or WINDOW_SECONDS,
        by_tenant=settings.per == "tenant",
        on_canary=settings.canary is not False,
        operator=settings.operator or ITSELF,
        sign=sign,
    )


def store_for(version: Version, settings: model.Switches) -> Store:
    """Where the switches of *version* are kept."""
    if settings.file is not None:
        return FileStore(version.controls.path(settings.file))
    address = version.controls.revealed(settings.url) if settings.url is not None else ""
    return ServerStore(address, key=settings.key or KEY, plaintext_hosts=tuple(settings.plaintext_hosts or ()))


def operators_of(settings: model.Switches) -> dict[str, object]:
    """Name to public key."""
    return {name: public_key(text) for name, text in (settings.operators or {}).items()}


def longest_of(platform: model.Platform) -> dict[str, float]:
    """Control to seconds: which may be bypassed, and for how long."""
    return {name: one.longest or 0.0 for name, one in (platform.bypassable or {}).items()}
