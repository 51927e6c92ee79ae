"""What may be said about a failure: names of classes, never the text of an error that somebody else wrote."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import wraps
from numbers import Integral
from traceback import walk_tb
from typing import Any, ParamSpec, TypeVar

from guardrails.errors import ControlError, GuardrailsError

P = ParamSpec("P")
T = TypeVar("T")


class SpeakableError(Exception):
    """Raised inside of detection and masking, with words of ours that hold no message text; never leaves this package."""


def what_failed(error: Exception) -> str:
    """
    Which recognizer raised what.

    >>> what_failed(ValueError("ann@example.com is odd"))
    'detection raised ValueError'
    """
    if isinstance(error, SpeakableError):
        return str(error)
    from presidio_analyzer import EntityRecognizer  # noqa: PLC0415 - loaded when a control was built

    kind = type(error).__name__
    for frame, _ in walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if isinstance(owner, EntityRecognizer):
            return f"recognizer {type(owner).__name__} raised {kind}"
    return f"detection raised {kind}"


def check_result(recognizer: object, text: str, result: Any) -> None:
    """
    Whether what a recognizer found is a place in *text*, with a score.

    Raises:
        SpeakableError: It is not: the text would be cut at the wrong places, or the finding be left out.
    """
    place = (result.start, result.end)
    if not all(isinstance(one, Integral) for one in place) or not 0 <= result.start <= result.end <= len(text):
        raise SpeakableError(f"recognizer {type(recognizer).__name__} found something that is no place in the text")
    if not 0 <= result.score <= 1:
        raise SpeakableError(f"recognizer {type(recognizer).__name__} gave a score that is not from 0 to 1")


def wordless(act: Callable[P, T]) -> Callable[P, T]:
    """*act*, whose errors hold none of its arguments: no frame of such an error does, and nothing stands behind it."""

    @wraps(act)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        failure: GuardrailsError
        try:
            return act(*args, **kwargs)
        except SpeakableError as error:
            failure = ControlError(str(error))
        except GuardrailsError as error:
            failure = copy(error)
        del args, kwargs
        raise failure

    return told
