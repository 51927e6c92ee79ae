"""
Checkpoints of LangGraph without personal data: `InMemorySaver(serde=MaskingSerializer(MaskPII().mask))`.

A graph writes its input into the first checkpoint before any middleware runs, so that masking inside an agent comes too late for
what is kept. This stands where every value is written. What is read back is masked, too: an agent goes on with what its model
saw. Where the original words must survive, use LangGraph's `EncryptedSerializer` instead.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import deque
from collections.abc import Callable, Collection
from datetime import date, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, TypeAlias
from uuid import UUID

from guardrails.adapters.hosts import host
from guardrails.adapters.leaves import DEPTH, is_odd, keyed
from guardrails.adapters.llm import words
from guardrails.errors import Denied

host("langgraph", extra="langchain", distribution="langgraph", least=(1, 2), below=(2,))

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer  # noqa: E402 - said first what to install
from langgraph.types import Send  # noqa: E402 - as above
from pydantic import BaseModel  # noqa: E402 - as above

__all__ = ["MaskingSerializer"]

Mask: TypeAlias = Callable[[str], tuple[str, Any]]

_SAME: Final = (bool, int, float, complex, type(None), date, time, timedelta, timezone, UUID, Enum, Decimal, PurePath, type)
# What LangGraph and LangChain know things by.
_SKIP: Final = words(
    "checkpoint_id checkpoint_map checkpoint_ns channel_versions versions_seen updated_channels thread_id run_id parents source "
    "ts id type role tool_call_id name step_id langgraph_node langgraph_path langgraph_triggers langgraph_checkpoint_ns"
)


class MaskingSerializer:
    """
    A checkpointer's `serde` that masks every text before it is written.

    Args:
        mask: Gives masked text and findings, such as `MaskPII().mask`.
        serde: Writes the masked values; None for LangGraph's own.
        skip: Names of fields and keys that are left alone, besides ids and LangGraph's own.
    """

    def __init__(self, mask: Mask, serde: Any = None, *, skip: Collection[str] = ()) -> None:
        self._mask = mask
        self._serde: Any = JsonPlusSerializer() if serde is None else serde
        self._skip = _SKIP | frozenset(skip)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """
        A masked value, written.

        Raises:
            Denied: It holds something that cannot be looked into: nothing is written.
        """
        written: tuple[str, bytes] = self._serde.dumps_typed(self._masked(obj, 0))
        return written

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """As the serializer behind this one."""
        return self._serde.loads_typed(data)

    def _masked(self, value: Any, depth: int) -> Any:
        if depth > DEPTH:
            raise Denied(f"a checkpoint nested deeper than {DEPTH}", control="caps")
        if isinstance(value, Enum) or (isinstance(value, _SAME) and not isinstance(value, str)):
            return value
        if isinstance(value, str):
            return self._mask(str.__str__(value))[0]
        if isinstance(value, dict):
            return keyed(
                (self._key(key), one if key in self._skip else self._masked(one, depth + 1)) for key, one in value.items()
            )
        if isinstance(value, list | set | frozenset | deque):
            return type(value)(self._masked(one, depth + 1) for one in value)
        if isinstance(value, tuple):
            items = [self._masked(one, depth + 1) for one in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return self._object(value, depth)

    def _key(self, key: Any) -> Any:
        return self._mask(str.__str__(key))[0] if isinstance(key, str) and is_odd(key) else key

    def _object(self, value: Any, depth: int) -> Any:
        if isinstance(value, Send):
            return Send(value.node, self._masked(value.arg, depth + 1), timeout=getattr(value, "timeout", None))
        if isinstance(value, BaseModel):
            names = [*type(value).model_fields, *(value.model_extra or {})]
            return value.model_copy(update=self._fields(value, names, depth))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            twin = copy.copy(value)
            for name, new in self._fields(value, [one.name for one in dataclasses.fields(value)], depth).items():
                object.__setattr__(twin, name, new)
            return twin
        raise Denied(
            f"a {type(value).__name__} in the state cannot be looked into; keep text in str, dict, list, dataclass or pydantic, "
            "or use LangGraph's EncryptedSerializer",
            control="langgraph",
        )

    def _fields(self, value: Any, names: Collection[str], depth: int) -> dict[str, Any]:
        held = {name: getattr(value, name) for name in names if name not in self._skip and hasattr(value, name)}
        return {name: self._masked(one, depth + 1) for name, one in held.items()}
