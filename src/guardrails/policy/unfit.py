"""Limits and rules that have a right form, and cannot be: found when a policy is read, for every layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from guardrails.errors import ConfigError
from guardrails.policy import model
from guardrails.policy.controls import own_name
from guardrails.policy.document import At, Document
from guardrails.policy.layers import met
from guardrails.policy.making.limits import lease, limit_of, person_cap, quiet_hours, unique_recipients
from guardrails.policy.problems import Problem
from guardrails.policy.reading import NAMED, spelled
from guardrails.policy.tightening import PLATFORM

_TRIED: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "quiet_hours": quiet_hours,
    "person_caps": person_cap,
    "unique_recipients": unique_recipients,
    "limits": limit_of,
    "concurrency": lease,
}


def unfit_rules(document: Document, platform: model.Platform, at: At, layer: model.Layer) -> Iterator[Problem]:
    """Limits and rules of *layer* that cannot be made."""
    for section, make in _TRIED.items():
        above: Mapping[str, Any] = getattr(platform, section) or {}
        for name, one in (getattr(layer, section) or {}).items():
            whole = one if at == (PLATFORM,) or name not in above else met(above[name], one)
            try:
                make(own_name(name, str(at[1]) if at[0] == "teams" else None), whole)
            except ConfigError as error:
                problem = str(error)
            else:
                continue
            here = (*at, section, name)
            yield Problem(document.place(here), spelled(here), problem)


def names_taken(
    document: Document, layers: Iterable[tuple[At, model.Layer]], reserved: Collection[str]
) -> Iterator[Problem]:
    """Names that mean two things: a control is called by its name, in records and by switches."""
    meant: dict[str, At] = {}
    for at, layer in layers:
        for section in NAMED:
            if section == "limits":  # all of them are one control
                continue
            for name in getattr(layer, section) or {}:
                here = (*at, section, name)
                first = meant.setdefault(name, here)
                if name in reserved:
                    yield Problem(document.place(here), spelled(here), "this name is taken; give it another one")
                elif first[-2] != section:
                    where = f"{spelled(first)} ({document.place(first)})"
                    yield Problem(
                        document.place(here), spelled(here), f"{where} has this name; give one of them another one"
                    )
