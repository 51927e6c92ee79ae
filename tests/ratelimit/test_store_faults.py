"""A store that is killed, hangs, starts again, is read only, or forgets: refused in time, exact, and over when it is over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from guardrails import AuditLog, Cap, Guard, Suppression
from guardrails.core.message import Message
from guardrails.errors import RateLimited, Unavailable
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.store import Store, taking
from guardrails.server.breaker import MOST_SECONDS, Breaker
from guardrails.server.endpoint import endpoint
from guardrails.server.link import Link, StoreDown, sha_of
from tests.ratelimit.conftest import KEYS
from tests.ratelimit.test_store import ANN, admitted, sender
from tests.servers import Server, free_port, running

PATIENCE_SECONDS: Final = 15.0


def recovered(send: Any) -> Any:
    """What the first send returns or raises that the store has decided."""
    return retried(lambda: send(ANN, "hello"))


def retried(question: Callable[[], Any]) -> Any:
    """What *question* answers once the store does."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return question()
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_g10_people_are_refused_within_two_seconds_of_a_store_that_is_dead_or_hangs(server: Server, fault: str) -> None:
    send = sender(RateLimit("100/hour", per="recipient", storage=server.url, keys=KEYS))
    recovered(send)  # a busy machine may be late with the first connection
    getattr(server, fault)()
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="protects people"):
            send(ANN, "hello")
        assert time.monotonic() - begun < 2
    server.start() if fault == "kill" else server.cont()

    assert recovered(send) == "sent"


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window", "sliding-window-counter"])
def test_g6_what_a_hanging_store_executes_late_costs_nothing(server: Server, strategy: str) -> None:
    limit = RateLimit(Limit("5/hour", strategy=strategy), storage=server.url, keys=KEYS, timeout_seconds=0.3)
    send = sender(limit)
    recovered(send)
    server.stop()
    for _ in range(4):
        with pytest.raises(Unavailable):
            send(ANN, "hello")
        time.sleep(0.26)  # so that the breaker lets another one ask
    server.cont()

    assert recovered(send) == "sent"
    assert admitted(send) == 3


def test_g6_a_store_that_was_restarted_is_used_again_without_a_failure(server: Server) -> None:
    send = sender(RateLimit("3/hour", storage=server.url, keys=KEYS))
    recovered(send)
    server.restart()

    assert admitted(send) == 3


def test_a_script_that_was_forgotten_is_told_again(server: Server) -> None:
    send = sender(RateLimit("3/hour", storage=server.url, keys=KEYS))
    recovered(send)
    with server.client() as client:
        client.script_flush()

    assert admitted(send) == 2


def test_g10_a_read_only_store_refuses_people(server: Server) -> None:
    send = sender(RateLimit("3/hour", storage=server.url, keys=KEYS))
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(Unavailable):
                send(ANN, "hello")
        finally:
            client.replicaof("no", "one")

    assert recovered(send) == "sent"


@pytest.mark.parametrize("control", ["limit", "cap", "suppression"])
def test_an_address_that_moves_to_another_server_is_followed(
    server: Server, tmp_path_factory: pytest.TempPathFactory, control: str
) -> None:
    folder = tmp_path_factory.mktemp("o")
    address = folder / "address"
    address.symlink_to(server.socket_path)
    storage = f"redis+unix://{address}"
    rule: Any = RateLimit("9/hour", storage=storage, keys=KEYS)
    if control == "cap":
        rule = Cap("9/day", storage=storage, keys=KEYS)
    if control == "suppression":
        rule = Suppression(storage, keys=KEYS)
        rule.create()
    send = sender(rule)
    assert recovered(send) == "sent"
    # A failover: what was asked becomes a replica, and its connections stay open.
    with running(server.binary, folder) as other, server.client() as client:
        client.replicaof("127.0.0.1", "1")
        try:
            address.unlink()
            address.symlink_to(other.socket_path)
            if control == "suppression":
                retried(rule.create)
                assert retried(lambda: rule.add("+12125550174"))
            assert recovered(send) == "sent"
        finally:
            client.replicaof("no", "one")


@pytest.mark.parametrize(
    ("options", "login", "says"),
    [
        (["--requirepass", "hunter2"], "", "password"),
        (["--requirepass", "hunter2"], ":wrong@", "password"),
        (["--cluster-enabled", "yes", "--cluster-port", "0"], "", "cluster mode"),
        (["--maxmemory", "1"], "", "it is full"),
        (["--user", "default", "on", "nopass", "~other:*", "+@all"], "", "may not"),
    ],
)
def test_the_log_says_once_why_a_store_refuses_and_no_secret(
    server: Server, tmp_path_factory: pytest.TempPathFactory, caplog: Any, options: list[str], login: str, says: str
) -> None:
    chosen = [str(free_port()) if option == "0" else option for option in options]
    with running(server.binary, tmp_path_factory.mktemp("o"), *chosen) as other:
        send = sender(RateLimit("9/hour", storage=other.url.replace("://", f"://{login}"), keys=KEYS))
        for _ in range(4):
            with pytest.raises(Unavailable):
                send(ANN, "hello")

    logged = [record.getMessage() for record in caplog.records]  # stores of earlier tests may still be looking for theirs
    assert [says in one for one in logged if f"127.0.0.1:{other.port} " in one] == [True]
    assert not {"hunter2", "wrong", "guardrails:limit"} & set(caplog.text.replace("'", " ").split())


def test_a_provider_is_protected_by_each_process_share_and_the_record_says_so(server: Server, tmp_path: Path) -> None:
    limit = RateLimit(Limit("20/hour", name="provider", protects="provider"), storage=server.url, keys=KEYS, replicas=4)
    guard = Guard(AuditLog(tmp_path / "audit", durability="os"), limit, channel="sms")

    @guard
    def send(to: str, body: str) -> str:
        return "sent"

    assert admitted(send, of=2) == 2
    server.kill()
    assert admitted(send) == 5
    written = "".join(path.read_text() for path in (tmp_path / "audit").rglob("*.jsonl"))
    intents = [line for line in written.splitlines() if '"stage":"intent"' in line]
    assert sum('"degraded":true' in line for line in intents) == 5
    server.start()
    until = time.monotonic() + PATIENCE_SECONDS
    while limit._shared is None or limit._shared.store.is_down:
        assert time.monotonic() < until
        admitted(send, of=1)
    assert admitted(send, of=30) >= 19
    guard.close()


def test_a_message_with_limits_of_both_kinds_is_refused(server: Server) -> None:
    limits = (Limit("5/hour", per="recipient"), Limit("20/hour", protects="provider"))
    send = sender(RateLimit(*limits, storage=server.url, keys=KEYS, replicas=2))
    server.kill()

    with pytest.raises(Unavailable, match="protects people"):
        send(ANN, "hello")


def test_two_thousand_sends_at_once_neither_fail_nor_exceed_the_pool(server: Server) -> None:
    limit = RateLimit("1500/hour", storage=server.url, keys=KEYS, max_connections=4)
    most = 0

    @Guard(limit, channel="sms")
    async def send(to: str, body: str) -> str:
        return "sent"

    async def one() -> int:
        try:
            await send(ANN, "hello")
        except RateLimited:
            return 0
        return 1

    async def main() -> int:
        nonlocal most
        sends = asyncio.gather(*(one() for _ in range(2_000)))
        assert limit._shared is not None
        pool = limit._shared.store.link.client.connection_pool
        while not sends.done():
            await asyncio.sleep(0.01)
            most = max(most, len(pool._in_use_connections) + len(pool._available_connections))
        return sum(sends.result())

    with asyncio.Runner() as runner:
        assert runner.run(main()) == 1_500
    assert 1 <= most <= 4


def test_g6_giving_back_and_taking_commute_and_each_happens_once(server: Server) -> None:
    limit = RateLimit("3/hour", storage=server.url, keys=KEYS)
    assert limit._shared is not None
    store: Store = limit._shared.store
    charges = limit._identity.charges(Message("hello", channel="sms", recipients=ANN), "platform")
    early = taking([charges])
    store.give_back(early)  # arrives before what it undoes
    with pytest.raises(StoreDown):
        store.take(early)
    taken = taking([charges])
    store.take(taken)
    store.take(taken)  # asked again for an answer that was lost
    assert getattr(store.look(charges), "remaining", None) == 1
    store.give_back(taken)
    store.give_back(taken)
    assert getattr(store.look(charges), "remaining", None) == 2


def test_the_breaker_pauses_longer_and_lets_one_try() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    assert breaker.may_ask()
    breaker.failed()
    assert not breaker.may_ask()
    now[0] = 0.25
    assert [breaker.may_ask(), breaker.may_ask()] == [True, False]
    for _ in range(10):
        now[0] += 60
        assert breaker.may_ask()
        breaker.failed()
    now[0] += MOST_SECONDS - 0.01
    assert not breaker.may_ask()
    now[0] += 0.02
    assert breaker.may_ask()
    breaker.answered()
    assert breaker.may_ask()
    assert not breaker.is_open


def test_g6_an_answer_that_nobody_waited_for_is_nobodys(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(endpoint(server.url), timeout_seconds=1.0, max_connections=1)

    def asked(word: str) -> Any:
        source = f"return '{word}'"
        return link.script(source, sha_of(source), [], [])

    assert [asked("first"), asked("mine"), asked("first")] == [b"first", b"mine", b"first"]

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # between a question and its answer
        patch.setattr(redis.Connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asked("first")
    monkeypatch.setattr(redis.Connection, "can_read", lambda *_, **__: False)  # which has not arrived yet

    assert asked("mine") == b"mine"
    link.close()


_ENDS = """
import sys
from guardrails import Guard
from guardrails.keys import Keys
from guardrails.ratelimit import Concurrency, Limit, RateLimit

store = {"storage": sys.argv[1], "keys": Keys(b"k" * 32)}
rate = RateLimit(Limit("9/hour", per="recipient"), refund_on=(ConnectionRefusedError,), **store)

@Guard(rate, Concurrency(3, per="recipient", lease_seconds=60, **store), channel="sms")
def send(to: str, body: str) -> str:
    raise ConnectionRefusedError

try:
    send("+12125550173", "hello")
except ConnectionRefusedError:
    print("refused")
"""


@pytest.mark.timeout(60)  # five interpreters, one after the other
def test_g6_a_process_that_ends_gives_back_what_its_last_send_owes(server: Server) -> None:
    for _ in range(5):
        ended = subprocess.run(
            [sys.executable, "-c", _ENDS, server.url], capture_output=True, text=True, timeout=20, check=True
        )
        assert (ended.stdout, ended.stderr) == ("refused\n", "")

    with server.client() as client:
        grants = [client.get(key) for key in client.keys("guardrails:limit:g:*")]
        assert grants == ["- -"] * 5
        assert client.keys("guardrails:limit:[mfsc]*") == []
