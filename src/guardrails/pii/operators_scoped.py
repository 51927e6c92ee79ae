"""
Operators by channel and direction: `{"DEFAULT": "replace", "sms": {"PHONE_NUMBER": "partial"}, "inbound": {...}}`.

What is said for a channel and a direction goes before what is said for the channel, that before what is said for the direction,
and that before what is said for all. A scope's `"DEFAULT"` is for every entity that the scope does not name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, final

from guardrails.core.message import DIRECTIONS
from guardrails.errors import ConfigError
from guardrails.pii.operators import DEFAULT, Operator, OperatorLike, made, operators_for
from guardrails.pii.registry import check_names

_ALL: Final = (None, None)


@final
class ScopedOperators:
    """
    The operator of each entity, for every channel and direction.

    Args:
        given: Entity name (or `"DEFAULT"`) to operator; channel or direction to a mapping of the same kind.
        entities: All that can be found.

    Raises:
        ConfigError: Unknown entity or operator, a scope within the same kind of scope, or an operator refuses its parameters.
    """

    def __init__(self, given: Mapping[str, OperatorLike] | None, entities: Collection[str]) -> None:
        self._entities = frozenset(entities)
        self._layers: dict[tuple[str | None, str | None], dict[str, Operator]] = {}
        plain = given
        if isinstance(given, Mapping):
            plain = {name: one for name, one in given.items() if not isinstance(one, Mapping)}
            for scope, inner in given.items():
                if isinstance(inner, Mapping):
                    self._read(scope, inner, _ALL)
        self.general: dict[str, Operator] = operators_for(plain, entities)
        self._known: dict[tuple[str | None, str | None], Mapping[str, Operator]] = {}

    def of(self, channel: str, direction: str) -> Mapping[str, Operator]:
        """The operators of a message; the same object as `general` where nothing else is said."""
        key = (channel if any(channel == one for one, _ in self._layers) else None, direction)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._joined(*key)
        return known

    def every(self) -> Collection[Operator]:
        """Each operator that could be asked."""
        return [*self.general.values(), *(one for layer in self._layers.values() for one in layer.values())]

    def _joined(self, channel: str | None, direction: str | None) -> Mapping[str, Operator]:
        layers = [
            self._layers[place]
            for place in ((channel, direction), (channel, None), (None, direction))
            if place != _ALL and place in self._layers
        ]
        if not layers:
            return self.general
        joined = dict(self.general)
        for entity in joined:
            for layer in layers:
                if entity in layer or DEFAULT in layer:
                    joined[entity] = layer[entity] if entity in layer else layer[DEFAULT]
                    break
        return joined

    def _read(self, scope: object, given: Mapping[str, OperatorLike], within: tuple[str | None, str | None]) -> None:
        channel, direction = within
        if not isinstance(scope, str) or not scope or scope in {*self._entities, DEFAULT}:
            raise ConfigError(f"MaskPII(operators=...): a mapping belongs to a channel or a direction, not to {scope!r}")
        if (direction if scope in DIRECTIONS else channel) is not None:
            raise ConfigError(f"MaskPII(operators=...): {scope!r} within {direction if scope in DIRECTIONS else channel!r}")
        place = (channel, scope) if scope in DIRECTIONS else (scope, direction)
        own = {name: one for name, one in given.items() if not isinstance(one, Mapping)}
        check_names(own, {*self._entities, DEFAULT}, argument="operators")
        self._layers.setdefault(place, {}).update({entity: made(entity, one) for entity, one in own.items()})
        for inner, more in given.items():
            if isinstance(more, Mapping):
                self._read(inner, more, place)
