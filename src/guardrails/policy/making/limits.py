"""The limits, leases and rules for people that settings mean."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Final

from guardrails.errors import ConfigError
from guardrails.policy import model
from guardrails.policy.objects import function_or_text, named
from guardrails.policy.problems import nearest
from guardrails.ratelimit import Cap, Limit, QuietHours, UniqueRecipients
from guardrails.ratelimit.concurrency import lease_of
from guardrails.ratelimit.people.counted import Kept
from guardrails.ratelimit.people.storage import MEMORY
from guardrails.ratelimit.refund import Refunds

_OF_LIMITS: Final = ("strategy", "scope", "cost", "tokenizer", "protects", "wait")
_OF_MESSAGES: Final = ("classes", "exempt", "message_class", "region")
_OF_HOURS: Final = ("zone", "unknown", "days", *_OF_MESSAGES)
_OF_CAPS: Final = ("zone", "unknown", "scope", "opaque_ids", *_OF_MESSAGES)
_OF_PEOPLE: Final = ("scope", "opaque_ids", *_OF_MESSAGES)
_FUNCTIONS: Final = ("zone", "message_class", "cost", "tokenizer")  # which a policy names as `package.module:name`


def limit_of(name: str, settings: model.Limit) -> Limit:
    """
    One limit.

    Raises:
        ConfigError: Its settings do not go together.
    """
    return Limit(settings.rate or "", per=_per(settings.per), name=name, **_given(settings, _OF_LIMITS))


def lease(name: str, settings: model.Concurrency) -> Limit:
    """
    Sends at once, as a limit whose units come back.

    Raises:
        ConfigError: Its settings do not go together.
    """
    options = _given(settings, ("scope", "protects"))
    if settings.lease is not None:
        if settings.lease != int(settings.lease):
            raise ConfigError("lease is whole seconds")
        options["lease_seconds"] = int(settings.lease)
    return lease_of(settings.amount or 0, per=_per(settings.per), name=name, **options)


def quiet_hours(name: str, settings: model.QuietHours) -> QuietHours:
    """
    Hours in which nothing is sent.

    Raises:
        ConfigError: Its settings do not go together.
    """
    start, _, end = (settings.hours or "").partition("-")
    return QuietHours(start, end, name=name, **_given(settings, _OF_HOURS))


def person_cap(name: str, settings: model.PersonCap, kept: Kept | None = None) -> Cap:
    """
    Messages to a person by calendar.

    Raises:
        ConfigError: Its settings do not go together.
    """
    per: Any = "recipient" if settings.per is None else _per(settings.per)
    storage = MEMORY if kept is None else kept
    return Cap(settings.rate or "", per=per, storage=storage, name=name, **_given(settings, _OF_CAPS))


def unique_recipients(name: str, settings: model.UniqueRecipients, kept: Kept | None = None) -> UniqueRecipients:
    """
    How many different people.

    Raises:
        ConfigError: Its settings do not go together.
    """
    storage = MEMORY if kept is None else kept
    options = _given(settings, _OF_PEOPLE)
    return UniqueRecipients(
        settings.amount or 0, window=settings.window or "", per=_per(settings.per), storage=storage, name=name, **options
    )


def errors_named(names: Sequence[str]) -> tuple[type[BaseException], ...]:
    """
    The classes of errors that *names* name: Python's own, or `package.module:Name`.

    Raises:
        ConfigError: There is none of that name, or it proves nothing.
    """
    errors = tuple(map(_error, names))
    Refunds(errors)
    return errors


def _error(name: str) -> type[BaseException]:
    found = named(name) if ":" in name else getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        return found
    known = [one for one, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    near = nearest(name, known) if ":" not in name else ""
    hint = near if "did you mean" in near else "; write package.module:Name"
    raise ConfigError(f"there is no error {name}{hint}")


def _per(per: str | list[str] | None) -> Any:
    return tuple(per) if isinstance(per, list) else per if per is None else function_or_text(per)


def _given(settings: Any, names: Sequence[str]) -> dict[str, Any]:
    given = {name: getattr(settings, name) for name in names if getattr(settings, name) is not None}
    if given.get("wait") == 0:  # not at all
        del given["wait"]
    functions = {name: function_or_text(given[name]) for name in _FUNCTIONS if isinstance(given.get(name), str)}
    return given | functions
