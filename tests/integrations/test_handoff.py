"""A conversation that changes its channel: `context.handoff` and `context.accept`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import AuditLog, Guard, MaskPII, RateLimit, context
from guardrails.adapters.once import OnceInStore
from guardrails.core.context import NOBODY, current
from guardrails.errors import ConfigError, Denied, RateLimited, Unavailable
from guardrails.keys import Epochs, Keys
from guardrails.pii import Vault
from tests.servers import running, valkey_binary

KEYS = Keys(secrets.token_bytes(32))
MASK = MaskPII(names="off")
GUARD = Guard(MASK)
ENVELOPE = context.handoff("Wants a refund", guard=GUARD, keys=KEYS, valid_seconds=3_600)


def handed(summary: str = "Wants a refund, write to ann@example.com", **options: Any) -> str:
    with context(tenant="t-1", conversation="c-17", actor="a-1"):
        return context.handoff(summary, **{"guard": GUARD, "keys": KEYS, **options})


def test_g3_what_was_said_comes_over_masked_with_its_ids() -> None:
    envelope = handed(channel="whatsapp", subject="ann-17", verification="otp", references=["tok-1"])
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,2048}", envelope)
    handoff = context.accept(envelope, keys=KEYS)
    assert handoff.summary == "Wants a refund, write to <EMAIL_ADDRESS>"
    assert (handoff.channel, handoff.subject, handoff.verification) == ("whatsapp", "ann-17", "otp")
    assert handoff.references == ("tok-1",)
    assert handoff.expires - handoff.issued == timedelta(seconds=300)
    with handoff:
        ids = current.get()
        assert (ids.tenant, ids.conversation, ids.actor) == ("t-1", "c-17", "a-1")
    assert current.get() is NOBODY
    assert "refund" not in f"{handoff!r}{envelope}"


def test_g5_tokens_are_the_conversations_and_come_back_in_the_next_channel() -> None:
    vault = Vault()
    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}))

    def send(body: str) -> str:
        return body

    with context(conversation="c-17"):
        vault.link("conversation:c-17", subject="ann-17")
        token = guard(send)("ann@example.com")
        envelope = context.handoff("Write to ann@example.com", guard=guard, keys=KEYS)
    handoff = context.accept(envelope, keys=KEYS)
    assert "ann@" not in handoff.summary
    assert handoff.summary == f"Write to {token}"
    assert vault.restore(handoff.summary, subject="ann-17") == "Write to ann@example.com"
    assert vault.restore(handoff.summary, subject="bob-3") == handoff.summary


@given(st.integers(3, len(ENVELOPE) - 1), st.sampled_from("Aa0_-.~é "))
def test_g7_a_changed_character_opens_nothing(place: int, new: str) -> None:
    changed = ENVELOPE[:place] + new + ENVELOPE[place + 1 :]
    if changed != ENVELOPE:
        with pytest.raises(Denied, match="not one of ours"):
            context.accept(changed, keys=KEYS)


@pytest.mark.parametrize(
    "envelope", ["", "g1.", "g1.AAAA", "g2." + ENVELOPE[3:], ENVELOPE + "=", ENVELOPE + "A" * 4096, None, b"g1.", "x"]
)
def test_what_is_no_envelope_is_refused(envelope: Any) -> None:
    with pytest.raises(Denied, match="not one of ours"):
        context.accept(envelope, keys=KEYS)


def test_it_opens_once_and_not_for_long() -> None:
    envelope = handed(valid_seconds=60)
    issued = context.accept(envelope, keys=KEYS).issued
    with pytest.raises(Denied, match="accepted before"):
        context.accept(envelope, keys=KEYS)
    for seconds in (61, -3_600):
        late = issued + timedelta(seconds=seconds)
        with pytest.raises(Denied, match="expired"):
            context.accept(handed(valid_seconds=60), keys=KEYS, now=lambda late=late: late)  # type: ignore[misc]  # bound now


def test_of_many_threads_one_accepts() -> None:
    envelope, barrier, won = handed(), threading.Barrier(8), []

    def accept() -> None:
        barrier.wait()
        with contextlib.suppress(Denied):
            won.append(context.accept(envelope, keys=KEYS))

    threads = [threading.Thread(target=accept) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_g10_with_a_store_one_process_of_all_accepts_and_none_while_it_is_away(tmp_path: Path) -> None:
    with running(valkey_binary(), tmp_path) as server:
        envelope, other = handed(), handed()
        assert context.accept(envelope, keys=KEYS, once=OnceInStore(server.url)).conversation == "c-17"
        with pytest.raises(Denied, match="accepted before"):
            context.accept(envelope, keys=KEYS, once=OnceInStore(server.url))
        with pytest.raises(Denied, match="accepted before"):
            context.accept(envelope, keys=KEYS, once=server.url)
        with server.client() as client:
            (name,) = client.keys("*")
            assert 250 < client.ttl(name) <= 331
        server.kill()
        with pytest.raises(Unavailable, match="does not answer"):
            context.accept(other, keys=KEYS, once=server.url)
        server.start()
        until = time.monotonic() + 10
        while True:  # until the breaker lets one ask
            try:
                assert context.accept(other, keys=KEYS, once=server.url).conversation == "c-17"
            except Unavailable:
                assert time.monotonic() < until
                time.sleep(0.05)
            else:
                break


def test_g6_of_many_with_one_store_one_accepts(tmp_path: Path) -> None:
    with running(valkey_binary(), tmp_path) as server:
        envelope, barrier, won = handed(), threading.Barrier(8), []

        def accept() -> None:
            once = OnceInStore(server.url)
            barrier.wait()
            with contextlib.suppress(Denied):
                won.append(context.accept(envelope, keys=KEYS, once=once))

        threads = [threading.Thread(target=accept) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def test_another_key_opens_nothing_and_an_old_one_does() -> None:
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    envelope = handed(keys=Keys(old))
    with pytest.raises(Denied, match="not one of ours"):
        context.accept(envelope, keys=Keys(new))
    assert context.accept(envelope, keys=Keys([new, old])).conversation == "c-17"


def test_another_tenant_is_refused_and_uses_nothing_up() -> None:
    envelope = handed()
    with context(tenant="t-2"), pytest.raises(Denied, match="another tenant's"):
        context.accept(envelope, keys=KEYS)
    with context(tenant="t-1"):
        assert context.accept(envelope, keys=KEYS).tenant == "t-1"


@pytest.mark.parametrize("options", [{"subject": "ann@example.com"}, {"verification": "by +1 212 555 0173"}])
def test_g3_ids_and_words_about_the_person_hold_nothing_personal(options: dict[str, Any]) -> None:
    with pytest.raises(Denied, match="must be an opaque id"):
        handed(**options)
    with context(conversation="+12125550173"), pytest.raises(Denied, match="conversation must be"):
        context.handoff("hello", guard=GUARD, keys=KEYS)


def test_g11_a_long_summary_is_refused() -> None:
    with pytest.raises(Denied, match="shorten the summary"):
        handed(secrets.token_hex(3_000))


def test_a_guard_without_a_mask_and_a_wrong_time_say_so() -> None:
    with pytest.raises(ConfigError, match="mask control"):
        handed(guard=Guard())
    for seconds in (0, -1, 90_000):
        with pytest.raises(ConfigError, match="valid_seconds"):
            handed(valid_seconds=seconds)


def test_g1_a_handoff_is_on_the_record_and_limited_like_a_send(tmp_path: Path) -> None:
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="conversation"), MASK)
    handed(guard=guard)
    with pytest.raises(RateLimited):
        handed(guard=guard)
    guard.close()
    records = [json.loads(line) for path in tmp_path.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert [one["channel"] for one in records if one["stage"] == "intent"] == ["handoff"]
    assert "refund" not in json.dumps(records)


def test_the_machines_own_key_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path))
    assert context.accept(context.handoff("hello", guard=GUARD)).summary == "hello"
    assert repr(context) == "guardrails.context"


def test_tokens_in_what_is_handed_over_stay_tokens_of_their_person() -> None:
    vault = Vault()
    vault.link("conversation:c-17", subject="ann-17")
    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}))
    token = vault.session("ann-17").token("EMAIL_ADDRESS", "ann@example.com")
    with context(conversation="c-17"):
        envelope = context.handoff(f"Write to {token}", guard=guard, keys=KEYS, references=[token])
    handoff = context.accept(envelope, keys=KEYS)
    assert vault.restore(handoff.summary, subject="ann-17") == "Write to ann@example.com"
    assert vault.restore(handoff.references[0], subject="ann-17") == "ann@example.com"


def test_keys_with_epochs_hand_over_before_anything_was_recorded(tmp_path: Path) -> None:
    keys = Keys(b"k" * 32, epochs=Epochs(tmp_path / "epochs"))
    assert context.accept(context.handoff("hello", guard=GUARD, keys=keys), keys=keys).summary == "hello"


def test_g11_a_summary_that_only_packs_small_is_refused_where_it_is_handed_over() -> None:
    with pytest.raises(Denied, match="shorten the summary"):
        handed("la " * 8_000)


def test_g10_wrong_arguments_of_a_handoff_are_said_and_use_nothing_up() -> None:
    wrongs: list[dict[str, Any]] = [{"guard": None}, {"valid_seconds": "5"}, {"references": "tok-1"}, {"keys": b"k" * 32}]
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            handed(**wrong)
    for channel in (None, 5):
        with pytest.raises(Denied, match="channel must be"):
            handed(channel=channel)
    envelope = handed()
    wrongs = [{"once": 5}, {"keys": b"k" * 32}, {"now": lambda: datetime(2026, 1, 1)}]  # noqa: DTZ001 - wrong on purpose
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            context.accept(envelope, **{"keys": KEYS, **wrong})
    context.accept(handed(), keys=KEYS, once="memory://")
    assert context.accept(envelope, keys=KEYS).conversation == "c-17"


def test_several_tasks_and_threads_go_on_with_one_handoff() -> None:
    handoff = context.accept(handed(), keys=KEYS)
    barrier, left = threading.Barrier(3), []

    def thread(number: int) -> None:
        with handoff, handoff:
            barrier.wait()
            ids = current.get()
        left.append((number, ids.conversation, current.get() is NOBODY))

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(left) == [(number, "c-17", True) for number in range(3)]

    async def task(turns: int) -> bool:
        with handoff:
            for _ in range(turns):
                await asyncio.sleep(0)
        return current.get() is NOBODY

    async def tasks() -> list[bool]:
        return list(await asyncio.gather(task(3), task(9), task(1)))

    with asyncio.Runner() as runner:
        assert runner.run(tasks()) == [True] * 3
