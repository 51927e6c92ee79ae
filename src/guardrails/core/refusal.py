"""
What a control raised, made safe to pass on: same verdict, no text, no cause, no context, no frames.

A control may have formatted the message into its reason, chained the exception that quotes it, or left it in a local
variable. None of that leaves the guard.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from datetime import datetime
from inspect import getattr_static
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from guardrails.errors import ControlError, Denied, GuardrailsError

REASON_CHARACTERS: Final = 80
_OWN_FOLDER: Final = str(Path(__file__).parent.parent)
_ERRORS: Final = GuardrailsError.__module__
_REMADE: Final = frozenset({"reason", "sent", "control", "where", "record_id", "__notes__"})
_CHAIN: Final = 32  # chained exceptions looked at
_CODE_CHARACTERS: Final = 32
_CODE_DIGITS: Final = 6  # a code, not a phone number
_NUMBER_BITS: Final = 1_024  # as far as a float reaches
_PERSONAL_DIGITS: Final = 7  # a shorter number says nothing about anybody


def rebuilt(
    error: GuardrailsError, *, name: str, where: str, sent: bool | None, clean: Callable[[str], str]
) -> GuardrailsError:
    """
    A refusal or failure that a control raised: same class and fields, text masked and cut.

    Args:
        error: What it raised.
        name: The control's name.
        where: The control's place in code.
        sent: Whether the message went out.
        clean: Masks a text.
    """
    try:
        twin = _twin(error, type(error), clean)
    except Exception:  # noqa: BLE001 - a class that cannot be remade is told by the nearest one of ours
        twin = _twin(error, next(kind for kind in type(error).__mro__ if kind.__module__ == _ERRORS), clean)
    twin.sent = sent
    twin.control = name
    twin.where = where
    twin.record_id = None
    return twin


def _twin(error: GuardrailsError, kind: type[GuardrailsError], clean: Callable[[str], str]) -> GuardrailsError:
    twin = kind.__new__(kind)
    for field, value in _fields(error).items():
        seconds = field == "retry_after" and isinstance(value, int | float)
        twin.__dict__[field] = value if seconds else _safe(value, clean)
    said = getattr(error, "reason", None) if isinstance(error, Denied) else str(error)
    text = cut(clean(said)) if isinstance(said, str) else "refused"
    twin.args = (text,)
    if isinstance(twin, Denied):
        twin.reason = text
    return twin


def _fields(error: GuardrailsError) -> dict[str, Any]:
    return {name: value for name, value in vars(error).items() if name not in _REMADE}


def crashed(error: BaseException, *, name: str, where: str, sent: bool | None, after_send: str) -> ControlError:
    """
    A control raised something that is not ours: what, where, and never its text.

    Args:
        error: What it raised.
        name: The control's name.
        where: The control's place in code, for when the traceback does not tell.
        sent: Whether the message went out.
        after_send: Sentence about the message's fate.
    """
    place = _deepest(error, where)
    return ControlError(
        f"control {name!r} raised {type(error).__name__} at {place}; {after_send}", sent=sent, control=name, where=place
    )


def overran(*, name: str, where: str, deadline_seconds: float, sent: bool | None, after_send: str) -> ControlError:
    """A control took longer than it may."""
    return ControlError(
        f"control {name!r} overran its deadline of {deadline_seconds:g} s; {after_send}",
        sent=sent,
        control=name,
        where=where,
    )


def fate(sent: bool | None) -> str:  # noqa: FBT001 - a value, not a switch
    """What became of the message, in words."""
    if sent is None:
        return "whether the message was sent is unknown"
    return "the message was sent, its reply is withheld" if sent else "nothing was sent"


def cut(text: str) -> str:
    """At most `REASON_CHARACTERS`, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= REASON_CHARACTERS else flat[: REASON_CHARACTERS - 1] + "…"


def is_cancellation(error: BaseException) -> bool:
    """Whether somebody stopped waiting, rather than something failing."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return True
    kind = type(error)
    return kind.__name__ == "Cancelled" and kind.__module__.startswith("trio")


def result_of(error: BaseException) -> str:
    """The outcome when the send raised *error*."""
    if is_cancellation(error):
        return "cancelled"
    # A timeout proves nothing: the message may have arrived.
    if isinstance(error, TimeoutError) or not isinstance(error, Exception):
        return "unknown"
    return "failed"


def classes_of(error: BaseException) -> tuple[type[BaseException], ...]:
    """The class of *error*, then of everything that it was raised from or while handling."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo and len(found) < _CHAIN:
        one = todo.pop(0)
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
        todo += [one.__cause__, one.__context__]
    return tuple(map(type, found))


def code_of(error: BaseException) -> str | None:
    """The provider's error code, if the exception carries a plain one: short, and not long enough for a phone number."""
    for field in ("code", "status_code"):
        value = getattr_static(error, field, None)  # no property of theirs is run
        if isinstance(value, bool) or not isinstance(value, int | str):
            continue
        code = str(value)
        plain = code.isascii() and code.replace("_", "").replace("-", "").isalnum()
        if plain and len(code) <= _CODE_CHARACTERS and sum(map(str.isdigit, code)) <= _CODE_DIGITS:
            return code
    return None


def without_our_frames(error: BaseException) -> BaseException:
    """
    The same exception object, its traceback without frames of this package (their locals held the message).

    Exceptions of ours lose traceback, cause and context whole: `.where` says what a person needs.
    """
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo and len(seen) < _CHAIN:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _trimmed(one.__traceback__)
        if isinstance(one, ExceptionGroup | BaseExceptionGroup):
            todo.extend(one.exceptions)
        todo += [one.__cause__, one.__context__]
    return error


def bare(error: GuardrailsError) -> GuardrailsError:
    """One of our own exceptions, with nothing attached."""
    error.__traceback__ = None
    error.__cause__ = None
    error.__context__ = None
    return error


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    kept = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
            kept.append(trace)
        trace = trace.tb_next
    rest: TracebackType | None = None
    for part in reversed(kept):
        rest = TracebackType(rest, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return rest


def _deepest(error: BaseException, where: str) -> str:
    """The last line of the control's own file that the exception passed."""
    file = where.rsplit(":", 2)[0]
    place = where
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == file:
            place = f"{file}:{line}:{frame.f_code.co_qualname}"
    return place


def _safe(value: Any, clean: Callable[[str], str]) -> Any:
    """A field of somebody's own refusal class, without text that nobody looked at."""
    if value is None or isinstance(value, bool | datetime):
        return value
    if isinstance(value, int) and value.bit_length() > _NUMBER_BITS:  # Python does not write it out
        return "<int>"
    if isinstance(value, int | float):
        digits = f"{value:.0f}" if isinstance(value, float) else str(value)
        seen = clean(digits) if len(digits) >= _PERSONAL_DIGITS else digits
        return value if seen == digits else seen
    if isinstance(value, str):
        return cut(clean(value))
    if isinstance(value, dict):
        return {cut(clean(str(key))): _safe(item, clean) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_safe(item, clean) for item in value) if type(value) in (list, tuple) else ()
    return f"<{type(value).__name__}>"
