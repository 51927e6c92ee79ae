"""What holds where a setting is left out: `platform.defaults`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from guardrails.policy import model
from guardrails.policy.setting import Settings

FILLED: Final = ("mode", "region", "zone", "deadline")
SECTIONS: Final = (
    "suppression",
    "quiet_hours",
    "person_caps",
    "unique_recipients",
    "limits",
    "concurrency",
    "mask",
    "checks",
)

S = TypeVar("S", bound=model.Layer)


def filled(layer: S, defaults: model.Defaults | None) -> S:
    """*layer* with what *defaults* say where it says nothing. Not for what only tightens something else."""
    given = {name: value for name, value in defaults.said() if name in FILLED} if defaults is not None else {}
    if not given:
        return layer
    changed = {name: _filled(value, given) for name in SECTIONS if (value := getattr(layer, name)) is not None}
    return layer.model_copy(update=changed)


def _filled(value: Any, given: Mapping[str, Any]) -> Any:
    if isinstance(value, Settings):
        fields = type(value).model_fields
        missing = {name: one for name, one in given.items() if name in fields and getattr(value, name) is None}
        return value.model_copy(update=missing) if missing else value
    return {name: _filled(one, given) for name, one in value.items()}
