"""Which calls of a model were charged and failed: a host tries the same call of the same task again, and it is charged once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from guardrails.core.message import Message
from guardrails.core.repeats import repeats

_MOST_REPEATS: Final = 10  # of one charged message
_REMEMBERED: Final = 1_024  # failed attempts


class Attempts:
    """The failed ones of one guard."""

    def __init__(self) -> None:
        self._failed: OrderedDict[bytes, int] = OrderedDict()

    def attempt(self, key: bytes, message: Message) -> AbstractContextManager[None]:
        """A context in which another attempt is charged no more."""
        left = self._failed.pop(key, 0)
        if left <= 0:
            return nullcontext()
        self._failed[key] = left - 1
        return repeats(message)

    def failed(self, key: bytes) -> None:
        """The provider failed after the message was charged."""
        if key not in self._failed:
            self._failed[key] = _MOST_REPEATS
            if len(self._failed) > _REMEMBERED:
                self._failed.popitem(last=False)


class Charged:
    """Says so when the provider fails."""

    def __init__(self, failed: Callable[[], None]) -> None:
        self._failed = failed

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._failed()
