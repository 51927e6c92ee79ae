"""Limits in a real Redis or Valkey: exact counts over threads and processes, one round trip, nothing kept of a refusal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from guardrails import AuditLog, Deny, Guard, check
from guardrails.core.message import Message
from guardrails.errors import ConfigError, Denied, RateLimited, Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit import Limit, RateLimit
from tests.ratelimit.conftest import KEYS
from tests.servers import Server, running, valkey_binary

ANN: Final = "+12125550173"
STRATEGIES: Final = ("fixed-window", "moving-window", "sliding-window-counter")


def sender(*controls: Any) -> Any:
    """A guarded send."""

    @Guard(*controls, channel="sms")
    def send(to: str, body: str, tenant: str = "acme") -> str:
        return "sent"

    return send


def admitted(send: Any, to: str = ANN, *, of: int = 20) -> int:
    """How many of some sends pass."""
    passed = 0
    for _ in range(of):
        try:
            send(to, "hello")
        except RateLimited:
            continue
        passed += 1
    return passed


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_two_processes_worth_of_limits_share_one_count(server: Server, strategy: str) -> None:
    one, two = (
        sender(RateLimit(Limit("5/hour", per="recipient", strategy=strategy), storage=server.url, keys=KEYS))
        for _ in range(2)
    )

    assert admitted(one, of=3) == 3
    assert admitted(two) == 2
    assert admitted(one, "bob@example.com") == 5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_racing_threads_are_granted_exactly_the_limit_of_a_store(server: Server, strategy: str) -> None:
    send = sender(
        RateLimit(
            Limit("20/hour", per="recipient", strategy=strategy), Limit("37/hour", strategy=strategy),
            storage=server.url, keys=KEYS,
        )
    )  # fmt: skip
    with server.client() as client:
        before = client.info("clients")["connected_clients"]  # earlier tests' guards may still hold theirs
    barrier, counts = threading.Barrier(32), []

    def work(number: int) -> None:
        barrier.wait()
        counts.append(admitted(send, ANN if number % 2 else "bob@example.com", of=4))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 37
    with server.client() as client:
        clients = client.info("clients")["connected_clients"]
    assert clients <= before + 8


_PROCESS: Final = """
import sys
from guardrails.errors import RateLimited
from guardrails.keys import Keys
from guardrails.ratelimit import Limit, RateLimit
from tests.ratelimit.test_store import admitted, sender
send = sender(RateLimit(Limit("50/hour", per="recipient"), Limit("60/hour", cost=1), storage=sys.argv[1], keys=Keys(b"k" * 32)))
print("ready", flush=True); sys.stdin.readline()
print(admitted(send, of=20))
"""


@pytest.mark.timeout(60)  # eight interpreters at once
def test_g6_eight_processes_are_granted_exactly_the_limit(tmp_path: Path) -> None:
    with running(valkey_binary(), tmp_path) as server:  # eight processes take their time: one kind of server is enough
        assert sum(granted_to_processes(server)) == 50


def granted_to_processes(server: Server) -> list[int]:
    root = str(Path(__file__).parents[2])
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )
        for _ in range(8)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in started:  # nobody begins before all are ready
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return [int(one.communicate(timeout=60)[0]) for one in started]


def test_g6_asyncio_and_trio_share_the_store_with_plain_calls(server: Server) -> None:
    limit = RateLimit("10/hour", per="recipient", storage=server.url, keys=KEYS)
    guard = Guard(limit, channel="sms")
    passed: list[int] = []

    @guard
    def send(to: str, body: str) -> str:
        return "sent"

    @guard
    async def later(to: str, body: str) -> str:
        return "sent"

    async def one() -> None:
        try:
            await later(ANN, "hello")
        except RateLimited:
            return
        passed.append(1)

    async def on_asyncio() -> None:
        await asyncio.gather(*(one() for _ in range(3)))

    async def on_trio() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one)

    with asyncio.Runner() as runner:
        runner.run(on_asyncio())
    trio.run(on_trio)

    assert len(passed) == 7
    assert admitted(send) == 3


def test_all_limits_of_all_layers_are_one_round_trip(server: Server) -> None:
    def limits(prefix: str) -> RateLimit:
        many = (Limit(f"{50 + number}/hour", per="recipient", name=f"{prefix}{number}") for number in range(4))
        return RateLimit(*many, storage=server.url, keys=KEYS)

    guard = Guard(limits("a"), channel="sms").extend(limits("b"))

    @guard
    def send(to: str, body: str) -> str:
        return "sent"

    send(ANN, "hello")
    with server.client() as client:
        before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
        send(ANN, "hello")
        calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert calls - before == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_g6_what_a_later_step_refuses_is_given_back_by_id(server: Server, strategy: str, tmp_path: Path) -> None:
    class Fails:
        kind = "record"
        broken = True

        async def guard(self, call: Any, forward: Any, _: Any, /) -> Any:
            call.at_door(self)
            return await forward(call)

        phase = "intent"

        @property
        def store(self) -> int:
            return 1

        async def commit(self, *_: Any) -> None:
            if self.broken:
                raise Unavailable("no disk")

        async def undo(self, _: Any, /) -> None:
            """Nothing was written."""

        def settle(self, _: Any, /) -> None:
            """Not looked at."""

    fails = Fails()
    send = sender(fails, RateLimit(Limit("3/hour", strategy=strategy, cost=1), storage=server.url, keys=KEYS))
    for _ in range(6):
        with pytest.raises(Unavailable, match="no disk"):
            send(ANN, "hello")
    fails.broken = False

    assert admitted(send) == 3


def test_g6_a_refusal_by_one_limit_or_by_a_team_costs_the_others_nothing(server: Server) -> None:
    @check
    def opinion(message: Message) -> Deny | None:
        return Deny("no") if message.text == "no" else None

    limits = RateLimit(Limit("1/hour", per="recipient"), Limit("10/hour", per="tenant"), storage=server.url, keys=KEYS)
    send = sender(limits, opinion)
    for _ in range(5):
        with pytest.raises(Denied):
            send("cid@example.com", "no")

    assert admitted(send, of=50) == 1
    assert sum(admitted(send, f"p{number}@example.com", of=1) for number in range(20)) == 9


def test_the_record_says_what_was_left_and_no_identifier_is_in_the_store(server: Server, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit", durability="os")
    guard = Guard(log, RateLimit("5/hour", per="recipient", storage=server.url, keys=KEYS), channel="sms")

    @guard
    def send(to: str, body: str) -> str:
        return "sent"

    send(ANN, "hello")
    decision = guard.preview("hello", recipient=ANN)
    guard.close()

    assert decision.allowed
    written = "".join(path.read_text() for path in (tmp_path / "audit").rglob("*.jsonl"))
    assert '"remaining":4' in written
    with server.client() as client:
        assert all("2125550173" not in key for key in client.keys("*"))


def test_a_window_ends_by_the_servers_clock(server: Server) -> None:
    send = sender(RateLimit("2/second", storage=server.url, keys=KEYS))
    send(ANN, "hello")
    send(ANN, "hello")
    with pytest.raises(RateLimited) as refused:
        send(ANN, "hello")
    assert 0 < (refused.value.retry_after or 0) <= 1
    threading.Event().wait(refused.value.retry_after)

    assert send(ANN, "hello") == "sent"


def test_a_cost_that_never_fits_says_so(server: Server) -> None:
    send = sender(RateLimit(Limit("2/hour", per="recipient", cost=3), storage=server.url, keys=KEYS))
    with pytest.raises(RateLimited, match="never fit") as refused:
        send(ANN, "hello")
    assert refused.value.retry_after is None


def test_a_unix_socket_and_the_scheme_of_valkey_are_the_same_store(server: Server) -> None:
    server.database = 0  # the address of a socket has no place for another
    by_socket = sender(RateLimit("3/hour", storage=f"redis+unix://{server.socket_path}", keys=KEYS))
    by_name = sender(RateLimit("3/hour", storage=server.url.replace("redis://", "valkey://"), keys=KEYS))

    assert admitted(by_socket, of=2) == 2
    assert admitted(by_name) == 1


def test_a_changed_master_key_refuses_to_start(server: Server) -> None:
    sender(RateLimit("3/hour", storage=server.url, keys=KEYS))(ANN, "hello")
    other, rotated = Keys(b"o" * 32), Keys([b"o" * 32, b"k" * 32])

    with pytest.raises(Unavailable, match="another master key"):
        sender(RateLimit("3/hour", storage=server.url, keys=other))(ANN, "hello")
    assert sender(RateLimit("3/hour", storage=server.url, keys=rotated))(ANN, "hello") == "sent"
    for known in (KEYS, other):  # while processes change over, both work
        assert sender(RateLimit("3/hour", storage=server.url, keys=known))(ANN, "hello") == "sent"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"storage": "redis://store.example.com"}, "plaintext_hosts"),
        ({"storage": "redis://127.0.0.1.example.com"}, "plaintext_hosts"),
        ({"storage": "redis://localhost/zero"}, "number of a database"),
        ({"storage": "redis://localhost/0?ssl_cert_reqs=none"}, "no options"),
        ({"storage": "redis://:secret@localhost:99999999"}, "not an address"),
        ({"storage": "memcached://localhost"}, "unknown storage scheme"),
        ({"storage": "redis+unix://host"}, "unix socket"),
        ({"storage": "redis://localhost", "keys": Keys.ephemeral()}, "must share a key"),
        ({"storage": "redis://localhost", "clock": lambda: 0.0}, "clock="),
        ({"storage": "redis://localhost", "timeout_seconds": 2}, "timeout_seconds"),
        ({"storage": "redis://localhost", "max_connections": 0}, "max_connections"),
        ({"storage": "redis://localhost", "replicas": 0}, "replicas"),
        ({"storage": "memory://", "replicas": 2}, "goes with a shared storage"),
        ({"storage": 3}, "storage is a str"),
    ],
)
def test_a_storage_that_cannot_be_trusted_is_a_config_error(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        RateLimit("1/hour", **{"keys": KEYS, **arguments})
    assert "secret" not in str(refused.value)


def test_tls_checks_the_certificate_and_a_named_host_may_go_without() -> None:
    RateLimit("1/hour", storage="redis://store.example.com", keys=KEYS, plaintext_hosts=["store.example.com"])
    limit = RateLimit("1/hour", storage="rediss://u:hidden@store.example.com", keys=KEYS)
    assert limit._shared is not None
    options = limit._shared.store.link.client.connection_pool.connection_kwargs
    assert options["ssl_cert_reqs"] == "required"
    assert options["ssl_check_hostname"] is True
    assert "hidden" not in repr(limit._shared.store)


def test_a_provider_limit_needs_the_number_of_replicas() -> None:
    with pytest.raises(ConfigError, match="replicas="):
        RateLimit(Limit("1/hour", protects="provider"), storage="redis://localhost", keys=KEYS)
    with pytest.raises(ConfigError, match="protects"):
        Limit("1/hour", protects="nobody")
