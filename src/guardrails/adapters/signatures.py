"""Which tasks a message of Celery publishes besides its own: those that are linked to it, chained, or mapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrails.adapters.leaves import DEPTH
from guardrails.errors import Denied


def named_tasks(value: Any, depth: int = 0) -> Iterator[str]:
    """
    The names of the tasks of all signatures below *value*.

    >>> list(named_tasks({"task": "celery.group", "kwargs": {"tasks": [{"task": "shop.sms", "args": ("hello",)}]}}))
    ['celery.group', 'shop.sms']

    Raises:
        Denied: They are nested too deeply.
    """
    if depth > DEPTH:
        raise Denied(f"signatures nested deeper than {DEPTH}", control="caps", sent=False)
    if isinstance(value, Mapping):
        if isinstance(value.get("task"), str):
            yield value["task"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from named_tasks(child, depth + 1)
