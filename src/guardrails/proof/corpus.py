"""A corpus: messages as they are before any control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

_NOBODY: Final = "+12025550100"
_TEXTS: Final = ("text", "body", "message", "content")
MOST_MESSAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Specimen:
    """
    One message of a corpus.

    Args:
        text: Its text.
        recipient: Who receives it.
        tenant: Whose it is.
        at: When, in seconds since 1970; None where the corpus does not say.
    """

    text: str
    recipient: str = _NOBODY
    tenant: str = "canary"
    at: float | None = None

    def __repr__(self) -> str:
        return f"Specimen({len(self.text)} characters)"


def read_corpus(path: Path) -> list[Specimen]:
    """
    A corpus: JSON lines, each a text or an object with "text" (or "body", "message", "content").

    Beside the text: "to" or "recipient", "tenant", and "at" (RFC 3339), by which limits are judged.

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
    except ValueError:
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
            to = said.get("to", said.get("recipient"))
            tenant = said.get("tenant")
            return Specimen(
                text,
                to if isinstance(to, str) and to else _NOBODY,
                tenant if isinstance(tenant, str) else "canary",
                _seconds(said.get("at"), where),
            )
    raise ConfigError(f'{where}: neither a text nor an object with "text"')


def _seconds(said: object, where: str) -> float | None:
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f'{where}: "at" is a time with its zone, such as "2026-11-27T12:00:00Z"')
    return moment.timestamp()
