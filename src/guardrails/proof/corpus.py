"""A corpus: messages as they are before any control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

NOBODY: Final = "+12025550100"
_TEXTS: Final = ("text", "body", "message", "content")
MOST_MESSAGES: Final = 100_000
_LONGEST: Final = 1e9  # seconds of a send


@dataclass(frozen=True, slots=True)
class Specimen:
    """
    One message of a corpus.

    Args:
        text: Its text.
        recipient: Who receives it.
        tenant: Whose it is.
        at: When, in seconds since 1970.
        seconds: How long its send took.
        conversation: Id of the conversation.
        sender: Who sends it.
        actor: Who acts.

    What the corpus does not say is None; a message then goes to `NOBODY`, for the tenant "canary".
    """

    text: str
    recipient: str | None = None
    tenant: str = "canary"
    at: float | None = None
    seconds: float | None = None
    conversation: str | None = None
    sender: str | None = None
    actor: str | None = None

    def __repr__(self) -> str:
        return f"Specimen({len(self.text)} characters)"


def read_corpus(path: Path) -> list[Specimen]:
    """
    A corpus: JSON lines, each a text or an object with "text" (or "body", "message", "content").

    Beside the text: "to" or "recipient", "tenant", "conversation", "sender", "actor"; "at" (RFC 3339), by which limits are
    judged, and "seconds" (how long the send took), by which leases are.

    Raises:
        ConfigError: It is something else; says which line.
    """
    found: list[Specimen] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found.append(_specimen(json.loads(line), f"{path.name}:{number}"))
                if len(found) > MOST_MESSAGES:
                    raise ConfigError(f"{path.name}: more than {MOST_MESSAGES} messages; take a sample")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: the corpus cannot be read ({type(error).__name__})") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path.name}:{number}: not JSON; a corpus has one JSON value a line") from None
    if not found:
        raise ConfigError(f"{path}: the corpus is empty")
    return found


def _specimen(said: object, where: str) -> Specimen:
    if isinstance(said, str):
        return Specimen(said)
    if isinstance(said, Mapping):
        text = next((said[name] for name in _TEXTS if isinstance(said.get(name), str)), None)
        if text is not None:
            named = {name: _named(said.get(name)) for name in ("conversation", "sender", "actor")}
            return Specimen(
                text,
                _named(said.get("to", said.get("recipient"))),
                _named(said.get("tenant")) or "canary",
                _moment(said.get("at"), where),
                _seconds(said.get("seconds"), where),
                **named,
            )
    raise ConfigError(f'{where}: neither a text nor an object with "text"')


def _named(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _seconds(said: object, where: str) -> float | None:
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= _LONGEST:
        raise ConfigError(f'{where}: "seconds" is how long the send took, such as 1.5')
    return float(said)


def _moment(said: object, where: str) -> float | None:
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f'{where}: "at" is a time with its zone, such as "2026-11-27T12:00:00Z"')
    return moment.timestamp()
