"""Who a send is for, when its arguments do not say: opaque ids that travel with the code that sends."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids in force here."""

    tenant: str | None = None
    conversation: str | None = None
    actor: str | None = None

    def __repr__(self) -> str:
        given = [name for name in ("tenant", "conversation", "actor") if getattr(self, name) is not None]
        return f"Ids({', '.join(given)})"


NOBODY: Final = Ids()
current: Final[ContextVar[Ids]] = ContextVar("guardrails_ids", default=NOBODY)


@contextmanager
def context(*, tenant: str | None = None, conversation: str | None = None, actor: str | None = None) -> Iterator[None]:
    """
    Name tenant, conversation or actor for every guarded send in this block.

    Arguments of a send win over it; inner blocks win over outer ones, id by id. Coroutines and generators read it when
    they are first stepped, other sends when they are called. Plain threads and executors do not inherit it.

    Args:
        tenant: Opaque id.
        conversation: Opaque id.
        actor: Opaque id.

    Raises:
        ConfigError: An id is not a str.
    """
    given = {
        name: value
        for name, value in (("tenant", tenant), ("conversation", conversation), ("actor", actor))
        if value is not None
    }
    for name, value in given.items():
        if not isinstance(value, str):
            raise ConfigError(f"context({name}=...) must be a str")
    token = current.set(replace(current.get(), **given))
    try:
        yield
    finally:
        current.reset(token)
