"""
The private structlog pipeline that builds every line. Nothing that the application configures can reach it.

Imported when an `AuditLog` is built, not with the package: structlog takes longer to load than all of ours.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from guardrails.audit.fields import word
from guardrails.audit.stages import SCHEMA_VERSION, STAGE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHAPES: Final = 512  # sets of fields of one stage, each in the order in which it was built


class RecordLogger(structlog.BoundLoggerBase):
    """A structlog logger whose only method returns the line instead of writing it: the writer owns the file."""

    def line(self, members: dict[str, str]) -> bytes:
        """The record's exact bytes, without a newline. *members* gets what is bound."""
        # What structlog's _process_event does, without copying the event and without asking what came out.
        members.update(self._context)
        event: Any = members
        for processor in self._processors:
            event = processor(None, "line", event)
        return cast("bytes", event)


class _InOrder:
    """Lays out an event in the order of its line; an event of a shape that was seen before costs one look."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self._fields = frozenset(fields)
        self._ways: dict[tuple[str, ...], Callable[[Any], Iterable[str]]] = {}

    def __call__(self, _logger: object, _method: str, event: dict[str, str]) -> Iterable[str]:
        shape = tuple(event)
        way = self._ways.get(shape)
        if way is None:
            if not self._fields.issuperset(shape):
                raise ValueError(f"unknown fields in a record: {sorted(set(shape) - self._fields)}")
            order = sorted(shape)
            way = dict.values if list(shape) == order else itemgetter(*order)
            if len(self._ways) < _SHAPES:
                self._ways[shape] = way
        return way(event)


def _canonical(_logger: object, _method: str, event: Iterable[str]) -> bytes:
    return f"{{{','.join(event)}}}".encode()


def pipeline(*, stream: str, durability: str) -> Callable[[dict[str, str]], bytes]:
    """
    The function that makes a stream's lines out of members.

    Args:
        stream: Bound into each line.
        durability: Bound into each line.
    """
    always = {
        "durability": word("durability", durability),
        "schema_version": f'"schema_version":{SCHEMA_VERSION}',
        "stream": word("stream", stream),
    }
    by_stage = {word("stage", stage): _logger(fields, always).line for stage, fields in STAGE_FIELDS.items()}

    def line(members: dict[str, str]) -> bytes:
        return by_stage[members["stage"]](members)

    return line


def _logger(fields: tuple[str, ...], always: dict[str, str]) -> RecordLogger:
    processors: Any = (_InOrder(fields), _canonical)  # structlog's own types know only mappings as events
    base = structlog.wrap_logger(
        object(),
        processors=processors,
        wrapper_class=RecordLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("RecordLogger", base.bind(**always))
