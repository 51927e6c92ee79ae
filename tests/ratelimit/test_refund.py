"""`refund_on`: only for errors that prove that nothing was sent; once; never across a window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from guardrails import Guard, RateLimited
from guardrails.core.control import Outcome
from guardrails.errors import ConfigError
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.refund import Refunds
from tests.ratelimit.conftest import KEYS
from tests.ratelimit.passage import Clock, Passage, step
from tests.servers import Server

STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")
ANN = "+12125550173"
PATIENCE_SECONDS = 5.0


class Refusing(Exception):
    """A provider that took nothing."""


class RefusingTimeout(Refusing):
    """A library's timeout, derived from its other errors."""


class Raising:
    """A send that fails as told, and counts its calls."""

    def __init__(self, *errors: BaseException | None) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, to: str, body: str) -> str:  # noqa: ARG002 - as a send
        self.calls += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return "sent"


def tried(send: Callable[..., Any]) -> Any:
    try:
        return send(ANN, "hello")
    except RateLimited:
        return "limited"
    except Exception as error:  # noqa: BLE001 - what it was is the point
        return type(error)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("error", "refunded"),
    [
        (Refusing(), True),
        (ConnectionRefusedError(), True),
        (RefusingTimeout(), False),
        (TimeoutError(), False),
        (ValueError(), False),
        (caused(Refusing(), TimeoutError()), False),
        (caused(Refusing(), ConnectionRefusedError()), True),
        (caused(Refusing(), ConnectionResetError()), False),
        (caused(Refusing(), RefusingTimeout()), False),
    ],
)
def test_only_an_error_that_proves_that_nothing_was_sent_gives_the_charge_back(
    strategy: str,
    error: BaseException,
    refunded: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    limit = RateLimit(Limit("1/hour", strategy=strategy), refund_on=(Refusing, ConnectionRefusedError))
    send = Guard(limit, channel="sms").wrap(Raising(error))

    assert tried(send) is type(error)
    assert tried(send) == ("sent" if refunded else "limited")
    assert tried(send) == "limited"


def test_a_cancelled_send_keeps_its_charge(run: Any) -> None:
    limit = RateLimit("1/hour", refund_on=(Refusing,))

    @Guard(limit, channel="sms")
    async def send(to: str, body: str) -> str:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await send(ANN, "hello")
        with pytest.raises(RateLimited):
            await send(ANN, "hello")

    run(main)


def test_a_stream_that_had_begun_keeps_its_charge() -> None:
    limit = RateLimit("1/hour", refund_on=(Refusing,))

    @Guard(limit, channel="llm")
    def send(to: str, body: str) -> Iterator[str]:
        yield "a"
        raise Refusing

    with pytest.raises(Refusing):
        list(send(ANN, "hello"))
    with pytest.raises(RateLimited):
        list(send(ANN, "hello"))


def passed(control: RateLimit) -> Any:
    """A send whose outcome is told later."""
    call: Any = Passage(_message())
    nothing: Any = None
    step(control.guard(call, call.forward, nothing))
    return call


def _message() -> Any:
    from guardrails import Message  # noqa: PLC0415

    return Message("hello", channel="sms", recipients=ANN)


FAILED = Outcome("failed", raised=(Refusing,))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_a_refund_never_reaches_into_another_window_and_happens_once(strategy: str) -> None:
    clock = Clock()
    control = RateLimit(Limit("2/second", strategy=strategy), clock=clock, refund_on=(Refusing,))
    late = passed(control)
    clock.wait(5)
    passed(control)
    passed(control)
    for one in late.steps:
        one.settle(FAILED)
    with pytest.raises(RateLimited):
        passed(control)

    clock.wait(5)
    early, kept = passed(control), passed(control)
    for _ in range(3):
        for one in early.steps:
            one.settle(FAILED)
    for one in kept.steps:
        one.settle(Outcome("sent"))
    passed(control)
    with pytest.raises(RateLimited):
        passed(control)


def test_a_refund_while_the_ledger_is_busy_is_made_before_the_next_decision() -> None:
    control = RateLimit("1/hour", refund_on=(Refusing,))
    call = passed(control)
    control._ledger._busy = True
    for one in call.steps:
        one.settle(FAILED)
    control._ledger._busy = False
    passed(control)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_refund_of_a_store_is_made_soon_by_nobodys_send(server: Server, strategy: str) -> None:
    limits = (Limit("2/hour", strategy=strategy, name="a"), Limit("3/hour", strategy=strategy, name="b", cost=2))
    limit = RateLimit(*limits, storage=server.url, keys=KEYS, refund_on=(Refusing,))
    send = Guard(limit, channel="sms").wrap(Raising(Refusing(), None, TimeoutError()))
    watching = RateLimit(*limits, storage=server.url, keys=KEYS, timeout_seconds=1.1)
    seen = Guard(watching, channel="sms")
    assert tried(send) is Refusing
    until = time.monotonic() + PATIENCE_SECONDS
    while not seen.preview("hello", recipient=ANN).allowed:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert tried(send) == "sent"
    assert tried(send) == "limited"  # b has one left, and this costs two


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ((Exception,), "Exception may be raised after"),
        ((OSError,), "OSError may be raised after"),
        ((ConnectionError,), "ConnectionError may be raised after"),
        ((TimeoutError,), "TimeoutError may be raised after"),
        ((asyncio.CancelledError,), "CancelledError may be raised after"),
        ((BaseException,), "BaseException may be raised after"),
        ((KeyboardInterrupt,), "ends programs"),
        (ConnectionRefusedError, "in a tuple"),
        (("ConnectionRefusedError",), "classes"),
        ((ConnectionRefusedError(),), "classes"),
    ],
)
def test_errors_that_prove_nothing_are_a_config_error(errors: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RateLimit("1/hour", refund_on=errors)


def test_without_classes_nothing_is_proved() -> None:
    assert not Refunds(())
    assert not Refunds((Refusing,)).proves_unsent(Outcome("failed"))
    assert not Refunds((Refusing,)).proves_unsent(Outcome("unknown", raised=(Refusing,)))
