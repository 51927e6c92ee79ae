"""What holds for some messages: each control in its place, each setting with where it was said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from guardrails.policy.controls import own_name
from guardrails.policy.defaults import FILLED
from guardrails.policy.directions import DIRECTIONS
from guardrails.policy.document import At
from guardrails.policy.model import Anchor, Layer, Sink
from guardrails.policy.order import DeniedWords, Fewer, More, MoreOrAll, PerEntity
from guardrails.policy.problems import Place
from guardrails.policy.reading import NAMED
from guardrails.policy.secret import Secret
from guardrails.policy.setting import Settings, inner, order_of, otherwise, settings_in
from guardrails.policy.stacks import Stacks
from guardrails.policy.switches.making import switchboard_for
from guardrails.policy.tightening import PLATFORM
from guardrails.policy.values import DURATIONS, spelled
from guardrails.policy.version import Version

_OF_ONE_KIND: Final = (Anchor, Sink)  # whose settings mostly belong to another kind
_OPERATORS: Final = ("operators", *DIRECTIONS)
_TOGETHER: Final = (More, MoreOrAll, Fewer, DeniedWords)  # what several layers say is put together


class Line(NamedTuple):
    """
    A setting that holds.

    Args:
        setting: Within its control, such as `person.rate`.
        value: As a policy spells it.
        said: Where it was said, and in which layer; "default" when nobody says it.
    """

    setting: str
    value: str
    said: str


class Part(NamedTuple):
    """
    A control in its place.

    Args:
        name: In records.
        layer: "platform" or "team".
        mode: "enforce" or "monitor".
        lines: Its settings.
    """

    name: str
    layer: str
    mode: str
    lines: tuple[Line, ...]


def explained(
    version: Version, *, channel: str | None = None, tenant: str | None = None, team: str | None = None
) -> list[Part]:
    """
    The stack for such messages, outermost first.

    Raises:
        PolicyError: A control cannot be made.
    """
    layers = list(version.layers(channel=channel, tenant=tenant, team=team))
    holds, own = version.effective(channel=channel, tenant=tenant, team=team)
    says = _Says(version, layers)
    by_name: dict[tuple[str, str], list[Line]] = {
        ("platform", "audit_log"): says.lines(holds.audit, ("audit",), ""),
        ("platform", "suppression"): says.lines(holds.suppression, ("suppression",), ""),
        ("platform", "mask_pii"): says.lines(holds.mask, ("mask",), ""),
    }
    refunds = says.line(holds, "refund_on")
    for layer, settings in (("platform", holds), ("team", own)):
        for mode in ("enforce", "monitor"):
            by_name[layer, f"rate_limit {mode}"] = [
                *(
                    line
                    for name, limit in (settings.limits or {}).items()
                    if (limit.mode or "enforce") == mode
                    for line in says.lines(limit, ("limits", name), f"{name}.")
                ),
                *refunds,
            ]
        for section in NAMED:
            named: dict[str, Settings] = {} if section == "limits" else getattr(settings, section) or {}
            for name, one in named.items():
                called = name if section == "checks" or layer == "platform" else own_name(name, team)
                by_name[layer, called] = says.lines(one, (section, name), "")
    parts = []
    for slot in Stacks(version, switchboard_for(version)).of(channel=channel, tenant=tenant, team=team).slots:
        mode = "monitor" if slot.monitored else "enforce"
        name = f"rate_limit {mode}" if slot.name == "rate_limit" else slot.name
        parts.append(Part(slot.name, slot.layer, mode, tuple(by_name.get((slot.layer, name), ()))))
    return parts


class _Says:
    """Which layers say a setting."""

    def __init__(self, version: Version, layers: list[tuple[At, Any]]) -> None:
        self._version = version
        self._layers = layers

    def lines(self, settings: Settings | None, at: At, prefix: str) -> list[Line]:
        return list(self._lines(settings, at, prefix)) if settings is not None else []

    def line(self, layer: Layer, name: str) -> list[Line]:
        """A setting of the layer itself, where anybody says it."""
        value = getattr(layer, name)
        said = self._said((name,), value, exact=False)
        return [] if not value and said == "default" else [Line(name, shown(value or [], name), said)]

    def _lines(self, settings: Settings, at: At, prefix: str) -> Iterator[Line]:
        for name, field in type(settings).model_fields.items():
            value, here = getattr(settings, name), (*at, name)
            holds = settings_in(field.annotation)
            if holds is not None and isinstance(value, dict):
                for key, one in value.items():
                    yield from self._lines(one, (*here, key), f"{prefix}{name}.{key}.")
            elif holds is not None and isinstance(value, list):
                for number, one in enumerate(value):
                    yield from self._lines(one, (*here, number), f"{prefix}{name}[{number}].")
            elif settings_in(field.annotation) is inner(field.annotation):
                if value is not None:
                    yield from self._lines(value, here, f"{prefix}{name}.")
            elif isinstance(order_of(field), PerEntity):
                for key, one in (value or {}).items():
                    yield Line(f"{prefix}{name}.{key}", shown(one), self._said((*here, key), one, exact=True))
            else:
                unsaid = None if isinstance(settings, _OF_ONE_KIND) and name != "required" else otherwise(field)
                standing = unsaid if value is None else value
                if standing not in (None, []):
                    exact = not isinstance(order_of(field), _TOGETHER)
                    yield Line(f"{prefix}{name}", shown(standing, name), self._said(here, value, exact=exact))

    def _said(self, at: At, value: Any, *, exact: bool) -> str:
        """Where: the first layer that says exactly this, if there has to be one; else every layer that said a part of it."""
        parts, whole = [], []
        name = str(at[-1])
        for layer, settings in self._layers:
            place = self._place((*layer, *at))
            settings_at = at
            if place is None and len(at) > 1 and at[-2] in _OPERATORS:  # by the layer's DEFAULT, or for both directions
                ways = ((at[-2], "DEFAULT"), ("operators", at[-1]), ("operators", "DEFAULT"))
                for way in ways:
                    if (found := self._version.document.keys.get((*layer, *at[:-2], *way))) is not None:
                        place, settings_at = found, (*at[:-2], *way)
                        break
            if place is None:
                continue
            where = "" if layer == (PLATFORM,) else f" ({'.'.join(map(str, layer))})"
            parts.append(f"{place}{where}")
            if _value(settings, settings_at) == value:
                whole.append(parts[-1])
        said = (whole[:1] or parts) if exact else parts
        defaults = self._version.document.keys.get((PLATFORM, "defaults", name))
        if not said and defaults is not None and name in FILLED:
            return f"{defaults} (defaults)"
        return ", ".join(said) or "default"

    def _place(self, at: At) -> Place | None:
        """Where a setting stands; of one in a list that is a text alone, the text."""
        document = self._version.document
        return document.keys.get(at) or (document.places.get(at[:-1]) if isinstance(at[-2], int) else None)


def _value(settings: Any, at: At) -> Any:
    for step in at:
        match settings:
            case dict():
                settings = settings.get(step)
            case list():
                settings = settings[int(step)] if int(step) < len(settings) else None
            case _:
                settings = getattr(settings, str(step), None)
    return settings


def shown(value: Any, name: str = "") -> str:
    """A value as a policy spells it; a secret only by its name."""
    match value:
        case bool():
            return str(value).lower()
        case float() if name in DURATIONS:
            return spelled(value)
        case list():
            return f"[{', '.join(map(shown, value))}]"
        case dict():
            return f"{{{', '.join(map(str, value))}}}"  # a control's own settings: their names
        case Secret():
            return repr(value)
        case _:
            return str(value)
