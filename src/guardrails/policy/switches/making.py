"""The switchboard that a policy means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from guardrails.errors import ConfigError
from guardrails.policy import model
from guardrails.policy.problems import PolicyError
from guardrails.policy.switches.board import Switchboard
from guardrails.policy.switches.state import State
from guardrails.policy.switches.store import FileStore, ServerStore, Store
from guardrails.policy.switches.switch import public_key
from guardrails.policy.tightening import PLATFORM
from guardrails.policy.version import Version, placed

if TYPE_CHECKING:
    from guardrails.policy.document import At

_AT: At = (PLATFORM, "switches")
KEY = "guardrails:switches"


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
        state = State(operators_of(settings), longest_of(version.platform))
        board = Switchboard(store_for(version, settings), state, changed=changed)
    except ConfigError as error:
        problem = placed(version, _AT, error)
    else:
        if before is not None:
            state.follow(before.state)
        return board
    raise PolicyError(version.document.file, [problem])


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
