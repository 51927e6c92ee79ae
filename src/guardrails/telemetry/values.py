"""Any value that a log or a span can hold, masked. What cannot be masked is withheld: telemetry never stops an application."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

Mask: TypeAlias = Callable[[str], tuple[str, Any]]

WITHHELD: Final = "<WITHHELD>"
_DEPTH: Final = 16
_PLAIN: Final = (bool, int, float, type(None))
_log: Final = logging.getLogger("guardrails")


class Masked:
    """
    Masks values; does nothing inside itself, because detection may log.

    Args:
        mask: Gives masked text and findings, such as `MaskPII().mask`.
        skip: Keys whose values are left alone.
    """

    def __init__(self, mask: Mask, skip: frozenset[str]) -> None:
        self._mask = mask
        self._skip = skip
        self._here = threading.local()

    def text(self, text: str) -> str:
        """One text; withheld when it cannot be masked, or comes from inside the masking."""
        if getattr(self._here, "busy", False):
            return WITHHELD
        self._here.busy = True
        try:
            return str(self._mask(str.__str__(text))[0])
        except Exception:  # noqa: BLE001 - an application must be able to log whatever happens; the text stays here
            return WITHHELD
        finally:
            self._here.busy = False

    def value(self, value: Any, depth: int = 0) -> Any:
        """Strings masked, containers copied, numbers left alone, other objects as masked text of what they would print."""
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= _DEPTH:
            return WITHHELD
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) or (
            isinstance(value, Sequence) and not isinstance(value, bytes)
        ):
            items = [self.value(one, depth + 1) for one in value]
            return tuple(items) if isinstance(value, tuple) else items
        try:
            shown = repr(value)
        except Exception:  # noqa: BLE001 - somebody's repr may raise anything
            return WITHHELD
        return self.text(shown)

    def mapping(self, values: Mapping[Any, Any], depth: int = 0) -> dict[Any, Any]:
        """A mapping's values, and the keys that are text."""
        return {
            self.text(key) if isinstance(key, str) and not key.isidentifier() else key: (
                value if key in self._skip else self.value(value, depth + 1)
            )
            for key, value in values.items()
        }
