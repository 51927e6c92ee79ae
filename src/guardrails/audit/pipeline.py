"""
The private structlog pipeline that builds every line. Nothing that the application configures can reach it.

Imported when an `AuditLog` is built, not with the package: structlog takes longer to load than all of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import structlog

from guardrails.audit.fields import word
from guardrails.audit.stages import SCHEMA_VERSION, STAGE_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


class RecordLogger(structlog.BoundLoggerBase):
    """A structlog logger whose only method returns the line instead of writing it: the writer owns the file."""

    def line(self, members: dict[str, str]) -> bytes:
        """The record's exact bytes, without a newline."""
        # What structlog's _process_event does, without copying the event once more and without asking what came out.
        event: Any = self._context.copy()
        event.update(members)
        for processor in self._processors:
            event = processor(None, "line", event)
        return cast("bytes", event)


def _only_fields(fields: tuple[str, ...]) -> Callable[..., MutableMapping[str, Any]]:
    known = len(fields)

    def check(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if len(event) != known:  # the context has them all, so that only an unknown one changes the number
            raise ValueError(f"unknown fields in a record: {sorted(event.keys() - set(fields))}")
        return event

    return check


def _canonical(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    # The context holds the stage's fields in sorted order, so that the order of building does not matter.
    return f"{{{','.join(filter(None, event.values()))}}}".encode()


def pipeline(*, stream: str, durability: str) -> Callable[[dict[str, str]], bytes]:
    """
    The function that makes a stream's lines out of members.

    Args:
        stream: Bound into each line.
        durability: Bound into each line.
    """
    always = {
        "schema_version": f'"schema_version":{SCHEMA_VERSION}',
        "stream": word("stream", stream),
        "durability": word("durability", durability),
    }
    by_stage = {word("stage", stage): _logger(fields, always).line for stage, fields in STAGE_FIELDS.items()}

    def line(members: dict[str, str]) -> bytes:
        return by_stage[members["stage"]](members)

    return line


def _logger(fields: tuple[str, ...], always: dict[str, str]) -> RecordLogger:
    base = structlog.wrap_logger(
        object(),
        processors=(_only_fields(fields), _canonical),
        wrapper_class=RecordLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
        **dict.fromkeys(fields, ""),
    )
    return cast("RecordLogger", base.bind(**always))
