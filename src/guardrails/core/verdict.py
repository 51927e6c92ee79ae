"""What a control decided, as frozen values; matched exhaustively."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class Allow:
    """Let the message go on as it is."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """
    Let the message go on with another text.

    Args:
        text: The new text of the only part, or path to new text.
    """

    text: str | Mapping[str, str]

    def __repr__(self) -> str:
        return f"Rewrite({'1 part' if isinstance(self.text, str) else f'{len(self.text)} parts'})"


@dataclass(frozen=True, slots=True)
class Deny:
    """
    Refuse the message.

    Args:
        reason: For a person; masked and cut to 80 characters before anybody sees it.
    """

    reason: str = "refused"

    def __repr__(self) -> str:
        return f"Deny({len(str(self.reason))} chars)"


@dataclass(frozen=True, slots=True)
class Defer:
    """
    Refuse it for now; the caller may try again.

    Args:
        seconds: From now until it is worth trying again.
    """

    seconds: float


Verdict: TypeAlias = Allow | Rewrite | Deny | Defer


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One detected entity: what and where, never its text.

    Args:
        type: Presidio's entity name, such as `"EMAIL_ADDRESS"`.
        start: First character (code points of the original text).
        end: One past the last character.
        score: Confidence, 0 to 1.
        placed: Where its replacement lies in the masked text, as (start, end); None before masking.
    """

    type: str
    start: int
    end: int
    score: float
    placed: tuple[int, int] | None = None


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

# What a note may say; the names stand in audit records.
VERDICTS: Final = ("allow", "mask", "rewrite", "deny", "defer", "error", "shadow_deny", "shadow_error", "bypass")


@dataclass(frozen=True, slots=True)
class Coverage:
    """
    What detection could look at.

    Args:
        scanned: Strings that were looked at.
        unscanned: Values under a selector that are not text, by type name, such as `{"int": 2}`; and letters that no detector
            reads, by script, such as `{"script CYRILLIC": 4}`.
    """

    scanned: int = 0
    unscanned: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Note(NamedTuple):
    """
    What one control decided about one message, for the record. Holds types and counts, never text.

    Args:
        control: The control's name.
        layer: `"platform"` or `"team"`.
        verdict: One of `VERDICTS`.
        findings: What it found, by part.
        coverage: What it could look at, if it says so.
        monitored: Whether it only watched.
        duration_seconds: The control's own time, without what it forwarded to; None while it runs.
        detail: Facts for the record: str, int and bool values, no message text.
    """

    control: str
    layer: str
    verdict: str
    findings: Mapping[str, Sequence[Finding]] = NOTHING
    coverage: Coverage | None = None
    monitored: bool = False
    duration_seconds: float | None = None
    detail: Mapping[str, str | int | bool | None] = NOTHING

    def counts(self) -> dict[str, int]:
        """Entity type to number of findings."""
        total: dict[str, int] = {}
        for found in self.findings.values():
            for finding in found:
                total[finding.type] = total.get(finding.type, 0) + 1
        return total
