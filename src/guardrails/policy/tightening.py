"""That nobody below the platform loosens anything: checked when a policy is read, with both places named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from guardrails.policy.directions import DIRECTIONS
from guardrails.policy.document import At, Document
from guardrails.policy.layers import Difference, differences, disagreement
from guardrails.policy.model import Layer, Platform, PolicyFile
from guardrails.policy.order import LOOSER, UNRELATED
from guardrails.policy.problems import Problem
from guardrails.policy.reading import NAMED, spelled
from guardrails.policy.values import DURATIONS
from guardrails.policy.values import spelled as duration

PLATFORM: Final = "platform"
_SECTIONS: Final = ("channels", "tenants", "teams")
_SINGLE: Final = ("audit", "mask", "suppression")


def layers_of(file: PolicyFile) -> Iterator[tuple[At, Layer]]:
    """Every layer below the platform, with its place in the file."""
    for section in _SECTIONS:
        for name, layer in (getattr(file, section) or {}).items():
            yield (section, name), layer


def loosened(document: Document, file: PolicyFile, platform: Platform) -> Iterator[Problem]:
    """
    Everything below the platform that would loosen it, or that two layers cannot both mean.

    Args:
        document: Where everything stands.
        file: What it says.
        platform: What the platform says, with its defaults.
    """
    added: dict[At, tuple[At, Any]] = {}
    for at, layer in layers_of(file):
        for difference in differences(platform, layer):
            if difference.relation in (LOOSER, UNRELATED):
                yield _problem(document, (PLATFORM, *difference.at), (*at, *difference.at), difference)
        yield from _out_of_place(document, at, layer)
        yield from _cut_short(document, platform, at, layer)
        yield from _additions(document, platform, at, layer, added)


def _problem(document: Document, above: At, below: At, difference: Difference) -> Problem:
    where, name = _stands(document, above), str(below[-1])
    says = f"the platform says {_shown(difference.base, name)} ({where})"
    return Problem(
        document.place(below),
        spelled(below),
        f"{_shown(difference.other, name)} is {difference.relation.value}, and {says}: {difference.order.says}",
    )


def _stands(document: Document, at: At) -> str:
    for stands in (at, (PLATFORM, "defaults", at[-1])):
        if stands in document.keys:
            return str(document.keys[stands])
    ways: list[At] = [(*at[:-1], "DEFAULT"), at[:-1]]
    if at[-2] in DIRECTIONS:  # which says nothing itself, and stands for what is said for both
        both = (*at[:-2], "operators")
        if ways[0] not in document.keys and (*both, at[-1]) in document.keys:
            return str(document.keys[*both, at[-1]])
        ways = [ways[0], (*both, "DEFAULT"), at[:-2]]
    for other in ways:
        if other in document.keys:
            return f"{document.keys[other]}, which does not name it"
    return "where nothing is said"


def _shown(value: Any, name: str = "") -> str:
    """A setting's value. Settings with secrets have no order, and are never compared."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case float() if name in DURATIONS:
            return duration(value)
        case list():
            return f"[{', '.join(map(str, value[:8]))}{', ...' if len(value) > 8 else ''}]"  # noqa: PLR2004
        case dict():
            return "other settings"
        case _:
            return str(value)[:80]


def _out_of_place(document: Document, at: At, layer: Layer) -> Iterator[Problem]:
    for name, check in (layer.checks or {}).items():
        if check.before_mask:
            here = (*at, "checks", name, "before_mask")
            yield Problem(document.place(here), spelled(here), "only the platform's checks may see raw text")


def _cut_short(document: Document, platform: Platform, at: At, layer: Layer) -> Iterator[Problem]:
    """Less time is tighter where a message that takes longer is refused; elsewhere it is looked at with less."""
    above, mask = platform.mask, layer.mask
    if above is None or mask is None or mask.budget is None or above.budget is None:
        return
    if mask.budget < above.budget and (mask.over_budget or above.over_budget) == "patterns":
        here = (*at, "mask", "budget")
        yield Problem(
            document.place(here),
            spelled(here),
            "less time has more messages looked at with patterns only "
            f"({_stands(document, (PLATFORM, 'mask', 'over_budget'))}); say over_budget: deny, too",
        )


def _additions(
    document: Document, platform: Platform, at: At, layer: Layer, added: dict[At, tuple[At, Any]]
) -> Iterator[Problem]:
    """What the platform does not have: teams add no mask and no suppression, and one name means one thing."""
    for path, value in _things(layer):
        if _in(platform, path):
            continue
        here = (*at, *path)
        if at[0] == "teams" and path[0] in _SINGLE:
            yield Problem(document.place(here), spelled(here), "the platform has none that a team could tighten")
            continue
        first = added.setdefault(path, (here, value))
        if first[1] is value:
            continue
        if (first[0][0] == "teams") is not (at[0] == "teams"):
            yield Problem(
                document.place(here), spelled(here), f"another layer has this name ({_stands(document, first[0])})"
            )
        elif at[0] != "teams" and (found := disagreement(first[1], value)) is not None:
            there = (*first[0], *found.at)
            yield Problem(
                document.place((*here, *found.at)),
                spelled((*here, *found.at)),
                f"{_shown(found.other)} here and {_shown(found.base)} there ({_stands(document, there)}) "
                "cannot hold together; give one of them another name",
            )


def _things(layer: Layer) -> Iterator[tuple[At, Any]]:
    for name in _SINGLE:
        if (value := getattr(layer, name)) is not None:
            yield (name,), value
    for section in NAMED:
        named: Mapping[str, Any] = getattr(layer, section) or {}
        for name, value in named.items():
            yield (section, name), value


def _in(platform: Platform, path: At) -> bool:
    value = getattr(platform, str(path[0]))
    return value is not None and (len(path) == 1 or path[1] in value)
