"""Log lines of an application, masked before a handler or a renderer sees them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, MutableMapping
from typing import Any, Final
from weakref import WeakSet

from guardrails.telemetry.values import Mask, Masked

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SKIP: Final = frozenset({"level", "timestamp", "logger", "lineno", "filename", "func_name", "module", "process", "thread"})
_NAMES: Final = ("name", "threadName", "processName", "taskName")  # an application may name these after somebody
_SHORTEST_NUMBER: Final = 7  # digits of a telephone number
_format: Final = logging.Formatter()
_done: Final[WeakSet[logging.LogRecord]] = WeakSet()  # masked already, by the filter of another handler


class MaskingFilter(logging.Filter):
    """
    Put it on *handlers*: `handler.addFilter(MaskingFilter(MaskPII().mask))`. A logger's filter does not see its children's lines.

    Message with its arguments, exception, stack, extra fields and names of logger, thread and task are masked; what cannot be
    masked is withheld, never let through. The record is changed in place, so that handlers that come later see masked text too.

    Args:
        mask: Gives masked text and findings.
        skip: Names of extra fields that are left alone.
    """

    def __init__(self, mask: Mask, *, skip: Collection[str] = ()) -> None:
        super().__init__()
        self._masked = Masked(mask, frozenset(skip))

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask *record*; always true."""
        if record in _done:
            return True
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format would be printed with its arguments
            text = f"{record.msg} (its arguments do not fit)"
        record.msg, record.args = self._masked.text(text), None
        if record.exc_info:
            record.exc_text = self._masked.text(record.exc_text or _format.formatException(record.exc_info))
            record.exc_info = None
        elif record.exc_text:
            record.exc_text = self._masked.text(record.exc_text)
        if record.stack_info:
            record.stack_info = self._masked.text(record.stack_info)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        vars(record).update(self._masked.mapping(extra))
        for field in _NAMES:
            name = getattr(record, field, None)
            if isinstance(name, str) and ("@" in name or sum(map(str.isdigit, name)) >= _SHORTEST_NUMBER):
                setattr(record, field, self._masked.text(name))
        _done.add(record)
        return True


def masking_processor(
    mask: Mask, *, skip: Collection[str] = ()
) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    """
    A structlog processor; stands after `merge_contextvars` and before the renderer.

    An exception that nothing has written yet (`exc_info`) is written here and masked: renderers would write it raw.

    Args:
        mask: Gives masked text and findings, such as `MaskPII().mask`.
        skip: Keys whose values are left alone, besides level, logger, timestamp and the place in code.
    """
    masked = Masked(mask, _SKIP | frozenset(skip))

    def process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        given = event.get("exc_info")
        if not given:
            return masked.mapping(event)
        rest = {key: value for key, value in event.items() if key != "exc_info"}
        written = _written(given)
        return masked.mapping({**rest, "exception": written} if written else rest)

    return process


def _written(exc_info: Any) -> str | None:
    """What an exception prints; None where there is none."""
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    return _format.formatException(exc_info) if any(exc_info) else None
