"""`Concurrency`: never more at once, however sends end; a process that died keeps nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from guardrails import AuditLog, Concurrency, Guard, RateLimit, RateLimited, Unavailable
from guardrails.errors import ConfigError
from guardrails.ratelimit import Limit, scripts
from guardrails.ratelimit.store import Store
from guardrails.server.link import Link
from tests.ratelimit.conftest import KEYS
from tests.servers import Server, running, valkey_binary

ANN = "+12125550173"
PATIENCE_SECONDS = 8.0


def store_of(control: Any) -> Store:
    store: Store = control._shared.store
    return store


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_free(guard: Guard) -> Callable[[], bool]:
    return lambda: guard.preview("hello", recipient=ANN).allowed


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(valkey_binary(), tmp_path_factory.mktemp("s")) as server:
        yield server


@pytest.fixture(params=["memory", "store"])
def storage(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "memory":
        return {}
    server: Server = request.getfixturevalue("valkey")
    with server.client() as client:
        client.flushall()
    return {"storage": server.url, "keys": KEYS}


def test_g6_never_more_at_once_and_all_of_it_again_afterwards(storage: dict[str, Any]) -> None:
    control = Concurrency(3, **storage)
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    @Guard(control, channel="sms")
    def send(to: str, body: str) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(PATIENCE_SECONDS)
        with lock:
            running -= 1

    refused: list[bool] = []

    def one() -> None:
        try:
            send(ANN, "hello")
        except RateLimited as error:
            refused.append(error.retry_after is not None)
            if len(refused) == 9:
                gate.set()

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, refused) == (3, [True] * 9)
    eventually(is_free(Guard(control, channel="sms")))
    control.close()


class Failed(Exception):
    pass


@pytest.mark.parametrize(
    "ends", ["returns", "fails", "is cancelled", "stream is read", "stream is closed", "stream is dropped"]
)
def test_a_lease_ends_with_its_send_however_it_ends(storage: dict[str, Any], ends: str) -> None:
    control = Concurrency(1, **storage)
    guard = Guard(control, channel="llm")

    @guard
    async def ask(to: str, body: str) -> str:
        if ends == "fails":
            raise Failed
        await asyncio.sleep(3_600 if ends == "is cancelled" else 0)
        return "sent"

    @guard
    async def stream(to: str, body: str) -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def main() -> None:
        if ends.startswith("stream"):
            answer: Any = stream(ANN, "hello")
            assert await anext(answer) == "a"
            assert not guard.preview("hello", recipient=ANN).allowed
            if ends == "stream is read":
                assert [chunk async for chunk in answer] == ["b"]
            elif ends == "stream is closed":
                await answer.aclose()
            else:
                del answer
                gc.collect()
                await asyncio.sleep(0.01)
        elif ends == "fails":
            with pytest.raises(Failed):
                await ask(ANN, "hello")
        elif ends == "is cancelled":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await ask(ANN, "hello")
        else:
            await ask(ANN, "hello")

    with asyncio.Runner() as runner:
        runner.run(main())
    eventually(is_free(guard))


def test_a_message_that_is_refused_at_the_door_keeps_no_lease(storage: dict[str, Any], tmp_path: Path) -> None:
    control = Concurrency(1, **storage)
    log = AuditLog(tmp_path / "audit")
    guard = Guard(log, control, channel="sms")
    send = guard.wrap(sent)
    send(ANN, "hello")
    (tmp_path / "audit").rename(tmp_path / "gone")
    (tmp_path / "audit").write_text("")
    log._writer.close()  # so that the next intent cannot be written
    for _ in range(3):
        with pytest.raises(Unavailable):
            send(ANN, "hello")
    eventually(is_free(Guard(control, channel="sms")))


def sent(to: str, body: str) -> str:
    return "sent"


def test_each_of_what_is_counted_has_its_own_and_they_are_named(storage: dict[str, Any]) -> None:
    control = Concurrency(1, per="tenant", **storage)
    guard = Guard(control, channel="sms")

    @guard
    def outer(to: str, body: str, tenant: str) -> str:
        if tenant == "a":
            return outer(to, "another", tenant="b")
        return "sent"

    assert outer(ANN, "hello", tenant="a") == "sent"

    @guard
    def again(to: str, body: str, tenant: str) -> str:
        return again(to, "another", tenant=tenant)

    with pytest.raises(RateLimited, match="is used up") as refused:
        again(ANN, "hello", tenant="c")
    assert (refused.value.scope, refused.value.amount) == ("tenant", 1)
    assert "1 at once" in str(refused.value)


def test_a_send_may_wait_for_another_one_to_end(storage: dict[str, Any], run: Any) -> None:
    control = Concurrency(2, wait=PATIENCE_SECONDS, **storage)
    running = most = 0
    sleep = trio.sleep if run.__name__ == "on_trio" else asyncio.sleep

    @Guard(control, channel="sms")
    async def send(to: str, body: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await sleep(0.02)
        running -= 1

    async def main() -> None:
        if run.__name__ == "on_trio":
            async with trio.open_nursery() as nursery:
                for _ in range(6):
                    nursery.start_soon(send, ANN, "hello")
        else:
            await asyncio.gather(*(send(ANN, "hello") for _ in range(6)))

    run(main)
    assert most == 2


def test_leases_and_limits_of_a_store_are_one_round_trip_and_a_refusal_of_either_costs_nothing(server: Server) -> None:
    concurrency = Concurrency(1, storage=server.url, keys=KEYS)
    limit = RateLimit("2/hour", storage=server.url, keys=KEYS)
    guard = Guard(concurrency, limit, channel="sms")
    inner: list[Any] = []

    @guard
    def send(to: str, body: str) -> str:
        if not inner:
            inner.append(None)
            with pytest.raises(RateLimited, match="at once"):
                send(to, "another")
        return "sent"

    def calls() -> int:
        with server.client() as client:
            stats = client.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in ("eval", "evalsha"))

    send(ANN, "hello")  # takes a unit; the refused one inside does not
    eventually(is_free(Guard(concurrency, channel="sms")))
    before = calls()
    # Other objects: these remember that they were refused just now, and would look before they take.
    same = Concurrency(1, storage=server.url, keys=KEYS), RateLimit("2/hour", storage=server.url, keys=KEYS)
    Guard(*same, channel="sms").wrap(sent)(ANN, "hello")
    assert 1 <= calls() - before <= 2  # taking; and the lease's end, if it was told already
    eventually(is_free(Guard(concurrency, channel="sms")))
    with pytest.raises(RateLimited, match="in 3600 s"):
        send(ANN, "hello")
    assert is_free(Guard(concurrency, channel="sms"))()


HOLDER = """
import sys, time
from guardrails import Concurrency, Guard
from guardrails.keys import Keys

guard = Guard(Concurrency(1, storage=sys.argv[1], keys=Keys(b"k" * 32), lease_seconds=1), channel="sms")

@guard
def send(to: str, body: str) -> None:
    print("held", flush=True)
    time.sleep(60)

send("+12125550173", "hello")
"""


def test_the_lease_of_a_process_lives_as_long_as_its_send_and_no_longer_than_the_process(server: Server) -> None:
    guard = Guard(Concurrency(1, storage=server.url, keys=KEYS, lease_seconds=1), channel="sms")
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), server.url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        until = time.monotonic() + 2.5  # more than two leases
        while time.monotonic() < until:
            assert not is_free(guard)()
            time.sleep(0.05)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        eventually(is_free(guard))
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()


def test_a_lease_outlives_a_store_that_hung_or_was_restarted(server: Server) -> None:
    control = Concurrency(1, storage=server.url, keys=KEYS, lease_seconds=1, timeout_seconds=0.2)
    guard = Guard(control, channel="sms")
    gate = threading.Event()

    @guard
    def send(to: str, body: str) -> None:
        gate.wait(30)

    thread = threading.Thread(target=send, args=(ANN, "hello"))
    thread.start()
    eventually(lambda: bool(store_of(control)._leases._held))
    server.restart()

    def is_taken() -> bool:
        try:
            return not guard.preview("hello", recipient=ANN).allowed
        except Unavailable:
            return False

    eventually(is_taken)  # told again, though the server had lost it
    gate.set()
    thread.join()
    eventually(is_free(guard))


def test_g10_people_are_refused_while_the_store_is_down_and_a_provider_has_each_process_share(server: Server) -> None:
    people = Guard(Concurrency(4, storage=server.url, keys=KEYS), channel="sms").wrap(sent)
    control = Concurrency(4, storage=server.url, keys=KEYS, protects="provider", replicas=2, timeout_seconds=0.3)
    provider = Guard(control, channel="sms")
    depth = 0

    @provider
    def nested(to: str, body: str) -> int:
        nonlocal depth
        depth += 1
        try:
            return nested(to, body + "!")
        except RateLimited:
            return depth

    server.kill()
    with pytest.raises(Unavailable):
        people(ANN, "hello")
    assert nested(ANN, "hello") == 2
    depth = 0
    assert nested(ANN, "hello") == 2  # and given back


def test_a_forked_child_holds_nothing_of_its_parents() -> None:
    control = Concurrency(1)
    guard = Guard(control, channel="sms")

    @guard
    def send(to: str, body: str) -> int:
        child = os.fork()
        if child == 0:
            os._exit(0 if guard.preview("hello", recipient=ANN).allowed else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert send(ANN, "hello") == 0


def test_a_stream_that_was_never_started_has_no_lease(storage: dict[str, Any]) -> None:
    guard = Guard(Concurrency(1, **storage), channel="llm")

    @guard
    def stream(to: str, body: str) -> Iterator[str]:
        yield "a"

    unread = stream(ANN, "hello")
    assert list(stream(ANN, "hello")) == ["a"]
    del unread


@pytest.mark.parametrize(
    ("arguments", "more", "says"),
    [
        ((0,), {}, "amount"),
        ((True,), {}, "amount"),
        (("20",), {}, "amount"),
        ((1,), {"lease_seconds": 0}, "lease_seconds"),
        ((1,), {"lease_seconds": 0.5}, "lease_seconds"),
        ((1,), {"lease_seconds": 100_000}, "lease_seconds"),
        ((1,), {"per": "tenants"}, "unknown role"),
        ((1,), {"storage": "redis://limits.example.com"}, "not be encrypted"),
        ((1,), {"replicas": 2}, "replicas"),
        ((1,), {"wait": 0}, "wait"),
    ],
)
def test_a_wrong_argument_is_told(arguments: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Concurrency(*arguments, **more)


def test_two_limits_that_would_share_a_counter_of_a_store_are_told_apart(server: Server) -> None:
    first = RateLimit(Limit("5/minute", name="same"), storage=server.url, keys=KEYS, name="first")
    second = RateLimit(Limit("9/minute", name="same"), storage=server.url, keys=KEYS, name="second")
    with pytest.raises(ConfigError, match="'same'"):
        Guard(first, second, channel="sms").wrap(sent)(ANN, "hello")


def test_g6_a_lease_that_was_given_back_is_not_renewed_by_a_question_that_was_on_its_way(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = Concurrency(1, lease_seconds=1, storage=valkey.url, keys=KEYS, name="late renewal")
    store, ended, renews, others = store_of(control), threading.Event(), threading.Event(), threading.Event()
    script = Link.script

    def slowly(self: Link, source: str, *rest: Any) -> Any:
        if source is scripts.RENEW and not ended.is_set():
            renews.set()
            others.wait(PATIENCE_SECONDS)
        return script(self, source, *rest)

    monkeypatch.setattr(Link, "script", slowly)

    @Guard(control, channel="sms")
    def send(to: str, body: str) -> None:
        assert renews.wait(PATIENCE_SECONDS)

    @Guard(Concurrency(9, storage=valkey.url, keys=KEYS, name="other"), channel="sms")
    def other(to: str, body: str) -> None:
        """Its question tells what is owed."""

    send(ANN, "hello")
    other(ANN, "hello")
    ended.set()
    others.set()
    eventually(lambda: not store._owed and not store._telling.locked())
    with valkey.client() as client:
        assert sum(client.zcard(key) for key in client.scan_iter("guardrails:limit:c:*")) == 0


def test_sends_one_after_the_other_are_never_more_than_one_at_once(storage: dict[str, Any]) -> None:
    send = Guard(Concurrency(1, **storage), channel="sms").wrap(sent)
    assert [send(ANN, "hello") for _ in range(100)] == ["sent"] * 100
