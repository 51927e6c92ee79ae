"""`wait=` in a shared store: a line for all processes, left by whoever gives up or dies."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from guardrails import Guard, RateLimited
from guardrails.core.message import Message
from guardrails.ratelimit import Limit, RateLimit, Suppression
from guardrails.ratelimit.store import Admission, Store, taking
from tests.ratelimit.conftest import KEYS
from tests.servers import Server

ANN = "+12125550173"


def store_of(limit: RateLimit) -> tuple[Store, Any]:
    assert limit._shared is not None
    return limit._shared.store, limit._identity.charges(Message("hello", channel="sms", recipients=ANN), "platform")


def waits(store: Store, wanted: Any) -> Any:
    return store.take(wanted, place_seconds=1.0, left_seconds=4_000.0)


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_g6_nobody_is_overtaken_by_another_process(server: Server, strategy: str) -> None:
    limit = RateLimit(Limit("2/second", strategy=strategy), storage=server.url, keys=KEYS)
    store, charges = store_of(limit)
    big = [charge._replace(units=2) for charge in charges]
    assert isinstance(store.take(taking([charges])), Admission)
    first = taking([big])
    assert not isinstance(waits(store, first), Admission)  # stands in line for two
    late = taking([charges])
    assert not isinstance(store.take(late), Admission)  # one is free, and it is not for whoever came later

    until = time.monotonic() + 5
    while not isinstance(waits(store, first), Admission):
        assert not isinstance(store.take(late), Admission)
        assert time.monotonic() < until


def test_g6_whoever_gives_up_leaves_the_line_and_costs_nothing(server: Server) -> None:
    limit = RateLimit("2/hour", storage=server.url, keys=KEYS)
    store, charges = store_of(limit)
    store.take(taking([charges]))
    gives_up = taking([[charge._replace(units=2) for charge in charges]])
    waits(store, gives_up)
    assert not isinstance(store.take(taking([charges])), Admission)
    store.give_back(gives_up)
    assert isinstance(store.take(taking([charges])), Admission)


def test_g6_the_place_of_a_process_that_died_is_over_soon(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrails.ratelimit.store._PLACE_SECONDS", 0.1)
    limit = RateLimit("2/hour", storage=server.url, keys=KEYS)
    store, charges = store_of(limit)
    store.take(taking([charges]))
    store.take(taking([[charge._replace(units=2) for charge in charges]]), place_seconds=0.1, left_seconds=4_000)
    assert not isinstance(store.take(taking([charges])), Admission)
    until = time.monotonic() + 5
    while not isinstance(store.take(taking([charges])), Admission):
        assert time.monotonic() < until


def test_sends_wait_in_threads_and_tasks_for_a_store(server: Server) -> None:
    limit = RateLimit("4/second", storage=server.url, keys=KEYS, wait=3)
    guard = Guard(limit, channel="sms")
    times: list[float] = []

    @guard
    async def send_later(to: str, body: str) -> None:
        times.append(time.monotonic())

    @guard
    def send_now(to: str, body: str) -> None:
        times.append(time.monotonic())

    async def main() -> None:
        await asyncio.gather(*(send_later(ANN, "hello") for _ in range(5)))

    threads = [threading.Thread(target=send_now, args=(ANN, "hello")) for _ in range(5)]
    for thread in threads:
        thread.start()
    with asyncio.Runner() as runner:
        runner.run(main())
    for thread in threads:
        thread.join()
    assert len(times) == 10
    times.sort()
    assert all(later - earlier > 0.8 for earlier, later in zip(times, times[4:], strict=False))


def test_what_would_wait_too_long_is_refused_at_once_and_leaves_no_place(server: Server) -> None:
    limit = RateLimit("1/hour", storage=server.url, keys=KEYS, wait=2)
    send = Guard(limit, channel="sms").wrap(sent)
    send(ANN, "hello")
    begun = time.monotonic()
    with pytest.raises(RateLimited):
        send(ANN, "hello")
    assert time.monotonic() - begun < 1.5
    with server.client() as client:
        assert not client.exists("guardrails:limit:waiting")


def sent(to: str, body: str) -> str:
    return "sent"


def test_g2_a_stop_that_arrives_while_a_message_waits_holds_it_back(server: Server) -> None:
    suppression = Suppression("memory://")
    limit = RateLimit("1 per 2 seconds", storage=server.url, keys=KEYS, wait=10)
    calls: list[str] = []
    send = Guard(suppression, limit, channel="sms").wrap(lambda to, body: calls.append(to + body))
    send(ANN, "hello")
    threading.Timer(0.3, lambda: suppression.heard("STOP", sender=ANN, channel="sms")).start()
    with pytest.raises(Exception, match="opted out"):
        send(ANN, "hello")
    assert len(calls) == 1
