"""`@check`: a plain function as a control; and `monitor`: a control that only watches."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never, overload

from guardrails.core.control import DEADLINE_SECONDS, Control
from guardrails.core.message import Message
from guardrails.core.stack import Monitored
from guardrails.core.verdict import Allow, Defer, Deny, Rewrite, Verdict
from guardrails.errors import ConfigError, ControlError, Deferred, Denied

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io

Answer: TypeAlias = Verdict | str | None
_FOREVER_SECONDS: Final = 1e10  # beyond what a datetime can say
CheckFunction: TypeAlias = Callable[[Message], Answer] | Callable[[Message], Awaitable[Answer]]


class Check:
    """
    A function lifted to a control.

    Attributes:
        function: The function.
        name: The control's name.
        deadline_seconds: How long the function may take.
        async_only: Whether it needs an event loop.
        refuses: Texts that it must refuse; canaries hold it to them.
    """

    def __init__(
        self,
        function: CheckFunction,
        *,
        name: str | None = None,
        blocking: bool = False,
        deadline_seconds: float = DEADLINE_SECONDS,
        refuses: Sequence[str] = (),
    ) -> None:
        if not callable(function) or isinstance(function, type):
            raise ConfigError("@check goes above a function that takes a Message")
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", type(function).__name__))
        self.deadline_seconds = deadline_seconds
        self.async_only: bool = inspect.iscoroutinefunction(function)
        if isinstance(refuses, str) or not all(isinstance(text, str) for text in refuses):
            raise ConfigError(f"{self.name}: refuses= takes a list of texts that must be refused")
        self.refuses: tuple[str, ...] = tuple(refuses)
        self._blocking = blocking
        if blocking and self.async_only:
            raise ConfigError(f"{self.name}: blocking=True is for plain functions; an `async def` awaits instead")
        self.__doc__ = function.__doc__

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        """Ask the function, then do what it says."""
        answer: Any
        if self._blocking:
            answer = await io.ask(blocking=lambda: self.function(call.message))
        else:
            answer = self.function(call.message)
            if self.async_only:
                answer = await answer
        verdict: Verdict
        match answer:
            case None:
                verdict = Allow()
            case str():
                verdict = Rewrite(answer)
            case Allow() | Rewrite() | Deny() | Defer():
                verdict = answer
            case _:
                if inspect.iscoroutine(answer):
                    answer.close()
                raise ControlError(
                    f"check {self.name!r} returned {type(answer).__name__}; return Allow(), Rewrite(...), "
                    "Deny(...), Defer(...), a str or None"
                )
        return await self._obey(verdict, call, forward, io)

    async def _obey(self, verdict: Verdict, call: Call, forward: Forward, io: Io) -> object:
        match verdict:
            case Allow():
                return await forward(call)
            case Rewrite(text):
                if not isinstance(text, str | Mapping):
                    raise ControlError(f"check {self.name!r}: Rewrite takes a str, or path to str")
                rewritten = call.with_text(text)
                if rewritten.message.parts != call.message.parts:
                    call.note("rewrite")
                return await forward(rewritten)
            case Deny(reason):
                raise Denied(str(reason))
            case Defer(seconds):
                if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < _FOREVER_SECONDS:
                    raise ControlError(f"check {self.name!r}: Defer takes seconds, a number of at least 0")
                raise Deferred(not_before=io.now() + timedelta(seconds=seconds))
            case _:  # pragma: no cover - mypy proves that nothing is left
                assert_never(verdict)

    def __call__(self, message: Message) -> Any:
        """The function itself, for its own unit tests."""
        return self.function(message)

    def __repr__(self) -> str:
        return f"check({self.name})"


@overload
def check(function: CheckFunction, /) -> Check: ...
@overload
def check(
    *,
    name: str | None = None,
    blocking: bool = False,
    deadline_seconds: float = DEADLINE_SECONDS,
    refuses: Sequence[str] = (),
) -> Callable[[CheckFunction], Check]: ...
def check(
    function: CheckFunction | None = None,
    /,
    *,
    name: str | None = None,
    blocking: bool = False,
    deadline_seconds: float = DEADLINE_SECONDS,
    refuses: Sequence[str] = (),
) -> Check | Callable[[CheckFunction], Check]:
    """
    Lift `fn(message)` to a control. The function returns a verdict:

    None or `Allow()` lets the message go; a `str` or `Rewrite(...)` changes its text; `Deny(reason)` refuses it;
    `Defer(seconds)` refuses it for now. An `async def` may be used around async sends only.

    Args:
        function: The function.
        name: The control's name; the function's otherwise.
        blocking: On async sends, call it in a worker thread: for functions that read files or call services.
        deadline_seconds: A function that takes longer refuses the message.
        refuses: Texts that it must refuse; `guardrails.canary` holds it to them.

    Raises:
        ConfigError: It is not a function, or *blocking* was given for an `async def`.

    >>> @check
    ... def no_discounts(message):
    ...     return Deny("promises a discount") if "discount" in message.text else None
    >>> no_discounts(Message("10% discount", channel="sms"))
    Deny(19 chars)
    """
    if function is not None:
        return Check(function, name=name, blocking=blocking, deadline_seconds=deadline_seconds, refuses=refuses)
    return lambda fn: Check(fn, name=name, blocking=blocking, deadline_seconds=deadline_seconds, refuses=refuses)


def monitor(control: Control) -> Monitored:
    """
    Let a control watch without acting: its rewrites, refusals, failures and replies are recorded, the original goes out.

    Under `monitor(MaskPII())` only the outgoing payload is raw: other controls, records and logs still see masked text.

    Args:
        control: The control to try out.

    Raises:
        ConfigError: It is monitored already.
    """
    if isinstance(control, Monitored):
        raise ConfigError("monitor(monitor(...)): once is enough")
    return Monitored(control)
