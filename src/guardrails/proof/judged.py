"""What a corpus says about the controls of a guard, in figures and in words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_NAMED: Final = 3


@dataclass(slots=True)
class Judged:
    """
    What the corpus says about one control.

    Args:
        name: The control's.
        layer: "platform" or "team".
        kind: "mask", "check" or "limit".
        where: `file:line` of its code, or of where it is given to its guard.
        owner: Of the guard that it belongs to.
        fired: Messages on which it acts when it stands alone: refuses or rewrites.
        acted: Messages on which it acts in its place.
        only: Messages that only it caught: without it, something else would have gone out.
        by_platform: Messages that it caught alone, and that the platform's controls treat alike without it.
        failed: Messages on which it failed.
        types: Entity type to (messages with it on which it fires, those that only it caught).
        seconds: Its own time, of each message.
        tenants: Those of the corpus that it holds for; empty for all.
    """

    name: str
    layer: str
    kind: str
    where: str
    owner: str | None
    fired: int = 0
    acted: int = 0
    only: int = 0
    by_platform: int = 0
    failed: int = 0
    types: dict[str, tuple[int, int]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    tenants: Sequence[str] = ()

    @property
    def milliseconds(self) -> float:
        """Its own time, median."""
        return statistics.median(self.seconds) * 1e3 if self.seconds else 0.0

    @property
    def verdict(self) -> str:
        """In a word: "needed", "redundant", "dead" or "failing"."""
        if self.failed:
            return "failing"
        if not self.fired and not self.acted and not self.only:
            return "dead"
        return "needed" if self.only else "redundant"

    def sentence(self, messages: int) -> str:
        """In plain words."""
        cost = f"it adds {self.milliseconds:.2g} ms" if self.seconds else "its cost was not measured"
        name = f"`{self.name}`{self._whose}"
        match self.verdict:
            case "failing":
                return f"{name} failed on {self.failed} of {messages} messages; {cost}"
            case "dead":
                return f"{name} never fired on {messages} messages; {cost}"
            case "redundant":
                others = "the platform catches" if self.layer == "team" else "others catch"
                all_of = "all" if self.by_platform == self.fired else f"{self.by_platform} of"
                return f"{name} caught {self.fired} messages, {others} {all_of} {self.fired} too; {cost}"
            case _:
                others = "the platform catches" if self.layer == "team" else "others catch"
                shared = f", {others} {self.by_platform} of them too" if self.by_platform else ""
                return f"{name} caught {self.fired} messages, {self.only} of them only it{shared}; {cost}"

    @property
    def _whose(self) -> str:
        if not self.tenants:
            return ""
        few = len(self.tenants) <= _MOST_NAMED
        return f" of tenant {', '.join(self.tenants)}" if few else f" of {len(self.tenants)} tenants"


@dataclass(frozen=True, slots=True)
class Overlap:
    """
    What a corpus says about a guard.

    Args:
        guard: `file:line` of the guard.
        owner: Its owner.
        messages: How many there were.
        controls: Each control that was judged.
        unjudged: Names of the others, with why.
    """

    guard: str
    owner: str | None
    messages: int
    controls: Sequence[Judged]
    unjudged: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "guard": self.guard,
            "owner": self.owner,
            "messages": self.messages,
            "unjudged": dict(self.unjudged),
            "controls": [
                {
                    "name": one.name,
                    "layer": one.layer,
                    "kind": one.kind,
                    "where": one.where,
                    "owner": one.owner,
                    "tenants": list(one.tenants),
                    "verdict": one.verdict,
                    "sentence": one.sentence(self.messages),
                    "fired": one.fired,
                    "acted": one.acted,
                    "only": one.only,
                    "by_platform": one.by_platform,
                    "failed": one.failed,
                    "milliseconds": round(one.milliseconds, 4),
                    "types": {kind: {"fired": fired, "only": only} for kind, (fired, only) in sorted(one.types.items())},
                }
                for one in self.controls
            ],
        }
