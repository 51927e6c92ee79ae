# ruff: noqa: ARG002, ARG005 - sends and controls take what real ones take
"""Switches: signed, scoped, expiring, live; and what they cannot do."""

from __future__ import annotations

import base64
import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, from_policy
from guardrails.audit import read_records
from guardrails.errors import Blocked, Denied, RateLimited, Unavailable
from guardrails.keys.operator import public_text
from guardrails.policy import Policy
from guardrails.policy.switches.board import Switchboard
from guardrails.policy.switches.state import Clocks, State
from guardrails.policy.switches.store import FileStore, ServerStore
from guardrails.policy.switches.switch import Forged, Switch, new_id, signed, verified
from guardrails.testing import RecordingSend
from tests.policy.conftest import Write
from tests.servers import Server, valkey_binary

ANN, EVE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
OPERATORS = {"ann": ANN.public_key()}
TO = "+12125550173"
NOW = 1_700_000_000.0


def switch(kind: str = "bypass", **fields: Any) -> Switch:
    usual: dict[str, Any] = {"id": new_id(), "operator": "ann", "issued": NOW}
    if kind == "bypass":
        usual |= {"control": "rate_limit", "until": NOW + 60, "reason": "the store is slow"}
    return Switch(kind=kind, **{**usual, **fields})


def line(kind: str = "bypass", **fields: Any) -> bytes:
    return signed(switch(kind, **fields), ANN)


def state(longest: float = 900.0) -> State:
    return State(OPERATORS, {"rate_limit": longest})


def on(of: State, wall: float, steady: float, channel: str = "sms", tenant: str | None = None) -> tuple[bool, list[str]]:
    """Whether all is blocked, and which controls are bypassed."""
    now = Clocks(wall, steady)
    blocked = of.blocked(now, channel=channel, tenant=tenant) is not None
    return blocked, [str(one.control) for one in of.bypassed(now, channel=channel, tenant=tenant)]


# -- signatures ------------------------------------------------------------------------------------------------------------


def test_a_switch_comes_back_as_it_was_signed() -> None:
    one = switch(channel="sms", tenant="acme")
    assert verified(signed(one, ANN), OPERATORS) == one


def altered(raw: bytes, **members: Any) -> bytes:
    return json.dumps({**json.loads(raw), **members}).encode()


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda raw: signed(switch(), EVE), "signature"),
        (lambda raw: signed(switch(operator="eve"), EVE), "nobody"),
        (lambda raw: altered(raw, operator="eve"), "nobody"),
        (lambda raw: altered(raw, body=json.loads(raw)["body"].replace("60", "99")), "signature"),
        (lambda raw: altered(raw, signature=""), "signature"),
        (lambda raw: altered(raw, signature="not base64!"), "not a switch"),
        (lambda raw: altered(raw, body=3), "not a switch"),
        (lambda raw: b"[]", "not a switch"),
        (lambda raw: b"\xff\xfe", "not a switch"),
        (lambda raw: b"{" * 4_000, "not a switch"),
        (lambda raw: raw + b" " * 5_000, "too long"),
        (lambda raw: line(id="1"), "form"),
        (lambda raw: line(kind="allow-all"), "form"),
        (lambda raw: line(until=None), "end and a reason"),
        (lambda raw: line(reason=""), "end and a reason"),
        (lambda raw: line(until=NOW - 1), "end and a reason"),
        (lambda raw: line(control=None), "names one control"),
        (lambda raw: line(until=True), "time"),
        (lambda raw: line(issued="now"), "time"),
        (lambda raw: line(tenant=["a"]), "type"),
        (lambda raw: line(channel="x" * 300), "scope"),
        (lambda raw: line(reason="x\x1b[2J"), "reason"),
        (lambda raw: line("lift"), "names a switch"),
        (lambda raw: line("block-all", until=NOW - 1), "before it begins"),
    ],
)
def test_what_is_forged_or_no_switch_is_refused(forge: Callable[[bytes], bytes], why: str) -> None:
    with pytest.raises(Forged, match=why):
        verified(forge(line()), OPERATORS)


SIGNED: bytes = line()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 400).map(lambda at: flipped(SIGNED, at)))
def test_no_bytes_but_an_operators_are_a_switch(raw: bytes) -> None:
    assert raw == SIGNED or raises(raw)


def flipped(raw: bytes, at: int) -> bytes:
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def raises(raw: bytes) -> bool:
    """Refused; or, where a flipped bit changed only white space or the case of an escape, still what was signed."""
    try:
        return verified(raw, OPERATORS) == verified(SIGNED, OPERATORS)
    except Forged:
        return True


# -- what counts -----------------------------------------------------------------------------------------------------------


def test_a_bypass_ends_at_the_earlier_of_both_clocks() -> None:
    of = state()
    of.read([line()], Clocks(NOW, 10.0))
    assert on(of, NOW + 59, 69.0) == (False, ["rate_limit"])
    assert on(of, NOW + 61, 20.0) == (False, [])  # the wall clock was set forward
    assert on(of, NOW - 1_000, 71.0) == (False, [])  # it was set back


def test_a_block_ends_when_both_clocks_say_so() -> None:
    of = state()
    of.read([line("block-all", until=NOW + 60)], Clocks(NOW, 10.0))
    assert on(of, NOW + 1_000, 20.0) == (True, [])
    assert on(of, NOW - 1_000, 1_000.0) == (True, [])
    assert on(of, NOW + 61, 71.0) == (False, [])


def test_what_has_ended_does_not_come_back_when_the_clock_is_set_back_and_it_is_replayed() -> None:
    of = state()
    raw = line()
    of.read([raw], Clocks(NOW, 10.0))
    of.read([raw], Clocks(NOW + 61, 71.0))
    of.read([], Clocks(NOW, 72.0))
    of.read([raw], Clocks(NOW, 73.0))
    assert on(of, NOW, 73.0) == (False, [])


def test_what_was_lifted_does_not_come_back_when_the_lift_is_taken_out_of_the_store() -> None:
    of = state()
    one = switch("block-all")
    lift = signed(switch("lift", lifts=one.id), ANN)
    of.read([signed(one, ANN)], Clocks(NOW, 1.0))
    assert on(of, NOW, 1.0) == (True, [])
    of.read([signed(one, ANN), lift], Clocks(NOW, 2.0))
    assert on(of, NOW, 2.0) == (False, [])
    of.read([signed(one, ANN)], Clocks(NOW, 3.0))
    assert on(of, NOW, 3.0) == (False, [])


def test_a_block_stays_when_the_store_is_emptied_and_a_bypass_does_not() -> None:
    of = state()
    of.read([line("block-all"), line()], Clocks(NOW, 1.0))
    assert on(of, NOW, 1.0) == (True, ["rate_limit"])
    of.read([], Clocks(NOW, 2.0))
    assert on(of, NOW, 2.0) == (True, [])


@pytest.mark.parametrize(
    "fields", [{"control": "mask_pii"}, {"until": NOW + 901}, {"issued": NOW + 3_600, "until": NOW + 3_660}]
)
def test_only_what_the_platform_names_is_bypassed_and_only_for_so_long_and_not_before_its_time(fields: Any) -> None:
    of = state()
    of.read([line(**fields)], Clocks(NOW, 1.0))
    assert on(of, NOW, 1.0) == (False, [])


def test_a_switch_from_an_operator_whose_clock_is_ahead_counts_when_its_time_comes_and_no_longer_than_it_is() -> None:
    of = state()
    raw = line(issued=NOW + 100, until=NOW + 160)
    of.read([raw], Clocks(NOW, 0.0))
    assert on(of, NOW, 0.0) == (False, [])
    of.read([raw], Clocks(NOW + 50, 50.0))
    assert on(of, NOW + 50, 50.0) == (False, ["rate_limit"])
    assert on(of, NOW + 50, 111.0) == (False, [])


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({}, [1, 1, 1]),
        ({"channel": "sms"}, [1, 1, 0]),
        ({"tenant": "acme"}, [1, 0, 1]),
        ({"channel": "sms", "tenant": "acme"}, [1, 0, 0]),
    ],
)
def test_a_switch_covers_its_scope_and_nothing_else(scope: Any, covered: Sequence[int]) -> None:
    of = state()
    of.read([line("block-all", **scope)], Clocks(NOW, 1.0))
    asked = [("sms", "acme"), ("sms", "other"), ("email", "acme")]
    assert [on(of, NOW, 1.0, channel, tenant)[0] for channel, tenant in asked] == [bool(one) for one in covered]


TIMES = st.floats(-100, 200).map(lambda shift: NOW + shift)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(TIMES, st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_however_the_wall_clock_jumps_and_the_store_fails_no_bypass_outlives_its_length(
    readings: list[tuple[float, bool, bool]],
) -> None:
    of, raw, begun = state(), line(), None
    for steady, (wall, held, works) in enumerate(readings):
        now = Clocks(wall, steady * 20.0)
        if works:
            of.read([raw] if held else [], now)
        bypassed = on(of, *now)[1] == ["rate_limit"]
        if bypassed and begun is None:
            begun = now.steady
        assert not bypassed or (begun is not None and now.steady - begun < 60 and wall < NOW + 60)


# -- in a guard ------------------------------------------------------------------------------------------------------------

POLICY = """\
    version: 1
    platform:
      audit: {folder: audit, durability: os}
      limits: {person: {rate: 1/minute, per: recipient}}
      mask: {names: off}
      checks:
        no_discounts: {use: "tests.policy.sample:no_discounts"}
      switches: {STORE, operators: {ann: PUBLIC}}
      bypassable:
        rate_limit: {longest: 15m}
        no_discounts: {longest: 15m}
        mask_pii: {longest: 1m}
    teams:
      growth: {limits: {burst: {rate: 1/minute}}}
    """


@pytest.fixture
def policy(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    return write(POLICY.replace("STORE", "file: switches.jsonl").replace("PUBLIC", public_text(ANN)))


def fresh(kind: str = "bypass", **fields: Any) -> bytes:
    """A switch of now."""
    now = time.time_ns() / 1e9
    if kind == "bypass":
        fields.setdefault("until", now + 60)
    return line(kind, issued=now, **fields)


def put(policy: Path, raw: bytes) -> None:
    """Write a switch, and let the guard look now instead of in a quarter of a second."""
    FileStore(policy.parent / "switches.jsonl").append(raw)
    look_now(policy)


def look_now(policy: Path) -> None:
    board = Policy.at(policy).switchboard
    assert board is not None
    board._next = 0.0


def test_block_all_refuses_everything_in_its_scope_until_it_is_lifted(policy: Path, tmp_path: Path) -> None:
    guard = from_policy(policy, channel="sms")
    send = RecordingSend()
    sms, mail = guard.wrap(send), guard.wrap(send, channel="email")
    block = switch("block-all", issued=time.time_ns() / 1e9, channel="sms")
    put(policy, signed(block, ANN))
    with pytest.raises(Denied, match=r"all sends are blocked \(channel=sms\)") as caught:
        sms(TO, "hi")
    assert caught.value.control == "switches"
    mail(TO, "hi")
    put(policy, fresh("lift", lifts=block.id))
    sms("+12125550174", "hi")
    assert len(send.calls) == 2
    guard.close()
    decisions = [record for record in read_records(tmp_path / "audit") if record["stage"] == "decision"]
    assert [record["control"] for record in decisions] == ["switches"]


def test_a_block_that_comes_while_a_message_is_on_its_way_stops_it_at_the_door(policy: Path) -> None:
    guard = from_policy(policy, channel="sms")
    send = RecordingSend()

    class Blocks:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            put(policy, fresh("block-all"))
            return await forward(call)

    with pytest.raises(Denied, match="blocked"):
        guard.extend(Blocks()).wrap(send)(TO, "hi")
    assert send.calls == []


def test_a_bypassed_control_is_left_out_and_every_use_is_in_the_record(policy: Path, tmp_path: Path) -> None:
    guard = from_policy(policy, team="growth", channel="sms")
    send = RecordingSend()
    safe = guard.wrap(send)
    one = switch(control="no_discounts", issued=time.time_ns() / 1e9, until=time.time_ns() / 1e9 + 60, channel="sms")
    put(policy, signed(one, ANN))
    safe(TO, "a discount for +1 212 555 0199")
    with pytest.raises(RateLimited, match="person"):
        safe(TO, "again")
    with pytest.raises(Denied, match="discount"):
        guard.wrap(send, channel="email")("+12125550174", "a discount")
    assert [call.body for call in send.calls] == ["a discount for <PHONE_NUMBER>"]
    guard.close()
    records = [record for record in read_records(tmp_path / "audit") if record["stage"] in ("intent", "decision")]
    uses = [[note for note in record["guards"] if note["verdict"] == "bypass"] for record in records]
    assert [len(one) for one in uses] == [1, 1, 0]
    assert uses[0][0]["detail"] == {
        "bypassed": "no_discounts", "switch": one.id, "operator": "ann", "scope": "channel=sms",
    }  # fmt: skip


def test_a_bypassed_limit_takes_nothing_and_a_teams_own_limit_stays(policy: Path) -> None:
    guard = from_policy(policy, team="growth")
    send = guard.wrap(RecordingSend())
    put(policy, fresh())
    send(TO, "hi")
    with pytest.raises(RateLimited, match="growth:burst"):
        send(TO, "hi")


def test_a_bypassed_mask_only_watches_so_that_records_hold_nothing_raw(policy: Path, tmp_path: Path) -> None:
    guard = from_policy(policy, channel="sms")
    send = RecordingSend()
    put(policy, fresh(control="mask_pii", until=time.time_ns() / 1e9 + 30))
    guard.wrap(send)(TO, "call +1 212 555 0199")
    assert [call.body for call in send.calls] == ["call +1 212 555 0199"]
    guard.close()
    [intent] = [record for record in read_records(tmp_path / "audit") if record["stage"] == "intent"]
    assert [note["verdict"] for note in intent["guards"]][:1] == ["bypass"]
    assert {"name": "mask_pii", "monitored": True} in [
        {k: note[k] for k in ("name", "monitored")} for note in intent["guards"]
    ]


@pytest.mark.parametrize(
    "raw",
    [
        lambda: signed(switch(issued=time.time_ns() / 1e9, until=time.time_ns() / 1e9 + 60), EVE),
        lambda: fresh(control="audit_log"),
        lambda: fresh(until=time.time_ns() / 1e9 + 3_600),
        lambda: b"not a switch",
    ],
)
def test_a_switch_that_does_not_count_changes_nothing_and_is_counted(policy: Path, raw: Callable[[], bytes]) -> None:
    send = from_policy(policy).wrap(RecordingSend())
    put(policy, raw())
    send(TO, "hi")
    with pytest.raises(RateLimited):
        send(TO, "hi")
    board = Policy.at(policy).switchboard
    assert board is not None
    assert board.health()["refused"] == 1


def test_a_store_that_fails_leaves_what_is_known_and_a_block_stays(policy: Path, caplog: Any) -> None:
    guard = from_policy(policy)
    send = guard.wrap(RecordingSend())
    put(policy, fresh("block-all"))
    with pytest.raises(Denied):
        send(TO, "hi")
    file = policy.parent / "switches.jsonl"
    file.unlink()
    file.mkdir()
    look_now(policy)
    with pytest.raises(Denied, match="blocked"):
        send(TO, "hi")
    board = Policy.at(policy).switchboard
    assert board is not None
    assert board.failures == 1
    assert "problem" in board.health()
    assert "what is known of switches stays" in caplog.text
    file.rmdir()
    look_now(policy)
    with pytest.raises(Denied, match="blocked"):
        send(TO, "hi")
    assert "problem" not in board.health()


def test_nothing_is_sent_before_the_switches_could_be_read_once(policy: Path) -> None:
    (policy.parent / "switches.jsonl").mkdir()
    send = RecordingSend()
    safe = from_policy(policy).wrap(send)
    with pytest.raises(Unavailable, match="nobody knows which switches are on"):
        safe(TO, "hi")
    (policy.parent / "switches.jsonl").rmdir()
    look_now(policy)
    safe(TO, "hi")
    assert len(send.calls) == 1


def test_a_line_that_is_being_written_is_read_when_it_is_whole(policy: Path) -> None:
    send = from_policy(policy).wrap(RecordingSend())
    raw = fresh("block-all") + b"\n"
    file = policy.parent / "switches.jsonl"
    file.write_bytes(raw[:50])
    look_now(policy)
    send(TO, "hi")
    file.write_bytes(raw)
    look_now(policy)
    with pytest.raises(Denied, match="blocked"):
        send("+12125550174", "hi")


def test_a_reload_keeps_blocks_and_takes_bypasses_away_that_the_policy_no_longer_allows(policy: Path) -> None:
    guard = from_policy(policy)
    send = guard.wrap(RecordingSend())
    put(policy, fresh(control="no_discounts"))
    put(policy, fresh("block-all", tenant="acme"))
    send(TO, "a discount")
    policy.write_text(
        policy.read_text("utf-8").replace("no_discounts: {longest: 15m}", "no_discounts: {longest: 5s}"), "utf-8"
    )
    (policy.parent / "switches.jsonl").unlink()
    assert guard.reload()
    with pytest.raises(Denied, match="discount"):
        send("+12125550174", "a discount")
    with pytest.raises(Denied, match="blocked"):
        guard.wrap(lambda to, body, org: "", text="body", recipient="to", tenant="org")(TO, "hi", "acme")


def test_examples_say_the_same_whatever_is_switched(policy: Path) -> None:
    policy.write_text(policy.read_text("utf-8") + 'examples: [{in: "a discount", denied_by: no_discounts}]\n', "utf-8")
    FileStore(policy.parent / "switches.jsonl").append(fresh("block-all"))
    with pytest.raises(Denied, match="blocked"):
        from_policy(policy).wrap(RecordingSend())(TO, "hi")


def _asks_until_blocked(policy: str, started: Any, ended: Any) -> None:
    guard = from_policy(policy).open()
    last = time.monotonic()
    until, longest = last + 30, 0.0
    while last < until:
        blocked = not guard.preview("hi").allowed
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if blocked:
            ended.put((time.time_ns() / 1e9, longest))
            return
        if not started.is_set():
            started.set()
            last, longest = time.monotonic(), 0.0


def test_a_block_reaches_every_process_within_a_second(policy: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ended = context.Queue()
    started = [context.Event() for _ in range(2)]
    processes = [context.Process(target=_asks_until_blocked, args=(str(policy), one, ended)) for one in started]
    for process in processes:
        process.start()
    for one in started:
        assert one.wait(60)
    FileStore(policy.parent / "switches.jsonl").append(fresh("block-all"))
    at = time.time_ns() / 1e9
    told = [ended.get(timeout=20) for _ in processes]
    for process in processes:
        process.join(20)
    # A process that a busy machine has kept waiting between two looks is late by that, and not by us.
    late = [saw - at - waited for saw, waited in told]
    assert max(late) < 1.0, told


# -- in a server -----------------------------------------------------------------------------------------------------------


class Answers:
    """A store of lines that a test changes."""

    waits = True

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.fails = False
        self.asked = 0

    def changed(self) -> bool:
        return True

    def read(self) -> list[bytes]:
        self.asked += 1
        if self.fails:
            raise Unavailable("the switches cannot be read")
        return list(self.lines)

    def append(self, raw: bytes, /) -> None:
        self.lines.append(raw)

    def close(self) -> None: ...


def test_a_store_that_waits_is_asked_by_a_thread_and_its_failures_end_no_block() -> None:
    store = Answers()
    told: list[int] = []
    noticed = threading.Event()

    def changed(on: Any) -> None:
        told.append(len(on))
        noticed.set()

    board = Switchboard(store, state(), clocks=lambda: Clocks(NOW, 1.0), changed=changed)
    guard = Guard(board.control, channel="sms")
    send = guard.wrap(RecordingSend())
    send(TO, "hi")
    store.append(line("block-all"))
    assert noticed.wait(10)
    with pytest.raises(Denied, match="blocked"):
        send(TO, "hi")
    store.fails = True
    assert board.read() is False
    with pytest.raises(Denied, match="blocked"):
        send(TO, "hi")
    guard.close()
    assert told == [1]
    assert board._thread is None


def test_switches_in_a_server_reach_a_guard_and_survive_its_death(write: Write, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    server = Server(valkey_binary(), tmp_path)
    try:
        url = server.url
        path = write(POLICY.replace("STORE", f'url: "{url}"').replace("PUBLIC", public_text(ANN)))
        store = ServerStore(url, key="guardrails:switches")
        send = from_policy(path).wrap(RecordingSend())
        send(TO, "hi")
        store.append(fresh("block-all"))
        board = Policy.at(path).switchboard
        assert board is not None
        assert board.read()
        with pytest.raises(Denied, match="blocked"):
            send("+12125550174", "hi")
        server.kill()
        with pytest.raises(Unavailable):
            store.append(fresh("block-all"))
        assert board.read() is False
        with pytest.raises(Denied, match="blocked"):
            send("+12125550174", "hi")
        board.close()
    finally:
        server.kill()


def test_base64_of_another_length_is_no_public_key() -> None:
    from guardrails.errors import ConfigError  # noqa: PLC0415 - only here
    from guardrails.policy.switches.switch import public_key  # noqa: PLC0415

    for text in ("", "x", base64.b64encode(b"x" * 31).decode(), "é"):
        with pytest.raises(ConfigError, match="public key"):
            public_key(text)


def test_a_blocked_message_is_blocked_whatever_else_would_refuse_it(policy: Path) -> None:
    guard = from_policy(policy)
    put(policy, fresh("block-all"))
    with pytest.raises(Denied) as caught:
        guard.wrap(RecordingSend())(TO, "4111 1111 1111 1111")
    assert not isinstance(caught.value, Blocked)
