"""
The private structlog pipeline that builds every line. Nothing that the application configures can reach it.

Imported when an `AuditLog` is built, not with the package: structlog takes longer to load than all of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from guardrails.audit.record import FIELDS, SCHEMA_VERSION, word

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


class RecordLogger(structlog.BoundLoggerBase):
    """A structlog logger whose only method returns the line instead of writing it: the writer owns the file."""

    def line(self, members: dict[str, str]) -> bytes:
        """The record's exact bytes, without a newline."""
        (rendered,), _ = self._process_event("line", None, members)
        return cast("bytes", rendered)


def _only_fields(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if len(event) != len(FIELDS):  # the context has them all, so that only an unknown one changes the number
        raise ValueError(f"unknown fields in a record: {sorted(event.keys() - set(FIELDS))}")
    return event


def _canonical(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    # The context holds every field in sorted order, so that the order of building does not matter.
    return f"{{{','.join(filter(None, event.values()))}}}".encode("ascii")


_PROCESSORS: Final = (_only_fields, _canonical)


def pipeline(*, stream: str, durability: str) -> Callable[[dict[str, str]], bytes]:
    """
    The function that makes a stream's lines out of members.

    Args:
        stream: Bound into each line.
        durability: Bound into each line.
    """
    base = structlog.wrap_logger(
        object(),
        processors=_PROCESSORS,
        wrapper_class=RecordLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
        **dict.fromkeys(FIELDS, ""),
    )
    bound = base.bind(
        schema_version=f'"schema_version":{SCHEMA_VERSION}',
        stream=word("stream", stream),
        durability=word("durability", durability),
    )
    return cast("RecordLogger", bound).line
