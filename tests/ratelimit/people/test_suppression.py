"""Opt-outs: whoever is on the list gets nothing, whatever the store does, and no address is in it."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest

from guardrails import AuditLog, Blocked, Guard, RateLimit, Suppression, check, context
from guardrails.core.message import Message
from guardrails.errors import ConfigError, Denied, Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit import is_stop, message_class
from guardrails.ratelimit.people.optouts import OptOut
from guardrails.ratelimit.people.stopwords import STOP_WORDS
from tests.ratelimit.conftest import KEYS
from tests.ratelimit.people.conftest import Storage
from tests.servers import Server

ANN: Final = "+12125550173"
BOB: Final = "bob@example.com"


def sender(*controls: Any, channel: str = "sms", direction: Any = "outbound") -> Any:
    """A guarded send; its tenant is the context's."""

    @Guard(*controls, channel=channel, direction=direction)
    def send(to: Any, body: str) -> str:
        return "sent"

    return send


def made(suppression: Suppression) -> Suppression:
    """With a list: a busy machine may be late with the first connection."""
    until = time.monotonic() + 15
    while True:
        try:
            suppression.create()
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return suppression


def test_who_opted_out_gets_nothing_in_whatever_spelling(storage: Storage) -> None:
    suppression = made(Suppression(storage, keys=KEYS))
    send = sender(suppression)
    assert send(ANN, "hello") == "sent"

    assert suppression.add("whatsapp:+1 (212) 555-0173") is True
    assert suppression.add(ANN) is False

    for spelling in (ANN, "tel:+1-212-555-0173", "+1\u200b212 555 0173"):
        with pytest.raises(Blocked, match="recipient 2 of 2 has opted out") as refused:
            send([BOB, spelling], "hello")
        assert refused.value.findings == {"OPTED_OUT": 1}
        assert refused.value.sent is False
    assert send(BOB, "hello") == "sent"
    assert suppression.remove(ANN) is True
    assert suppression.remove(ANN) is False
    assert send(ANN, "hello") == "sent"


def test_an_opt_out_holds_for_its_tenant_and_its_channel_or_for_all(storage: Storage) -> None:
    suppression = made(Suppression(storage, keys=KEYS))
    sms, email = sender(suppression), sender(suppression, channel="email")
    suppression.add(ANN, tenant="acme", channel="sms")
    suppression.add(BOB, tenant="acme")
    suppression.add("cid@example.com", channel="email")
    suppression.add("dan@example.com")

    def passes(send: Any, to: str, tenant: str | None) -> bool:
        try:
            with context(tenant=tenant):
                return bool(send(to, "hello"))
        except Blocked:
            return False

    assert [passes(sms, ANN, "acme"), passes(email, ANN, "acme"), passes(sms, ANN, "other")] == [False, True, True]
    assert [passes(sms, BOB, "acme"), passes(email, BOB, "acme"), passes(sms, BOB, None)] == [False, False, True]
    assert [passes(sms, "cid@example.com", "x"), passes(email, "cid@example.com", "x")] == [True, False]
    assert not any(passes(send, "dan@example.com", tenant) for send in (sms, email) for tenant in ("acme", None))


def test_g2_a_stop_that_arrives_while_the_message_is_on_its_way_holds_it_back_at_the_door(storage: Storage) -> None:
    suppression = made(Suppression(storage, keys=KEYS))

    @check
    def meanwhile(_: Message) -> None:
        suppression.heard("STOP", sender=ANN, channel="sms")

    limit = RateLimit("1/hour")
    with pytest.raises(Blocked):
        sender(suppression, limit, meanwhile)(ANN, "hello")

    assert sender(suppression, limit)(BOB, "hello") == "sent"  # the refusal cost nothing


def test_rows_hold_digests_and_can_be_taken_back(storage: Storage) -> None:
    suppression = made(Suppression(storage, keys=KEYS))
    assert suppression.load([ANN, BOB, ANN.replace("+1", "+1 ")], source="crm-2026") == 2
    kept = list(suppression.rows())

    assert {row.source for row in kept} == {"crm-2026"}
    assert not [row for row in kept if "2125550173" in str(row) or "bob" in str(row)]
    other = Suppression("memory://", keys=KEYS)
    assert other.load_rows(kept) == 2
    assert other.has(ANN, channel="sms")
    assert other.load_rows(kept) == 0
    with pytest.raises(ConfigError, match="row 1 was made under another key"):
        Suppression("memory://", keys=Keys(b"z" * 32)).load_rows(kept)
    with pytest.raises(ConfigError, match="row 2 is not a row"):
        other.load_rows([kept[0], OptOut(ANN, "2026-01-01", "x")])


def test_old_keys_are_still_read_and_a_list_that_cannot_be_read_whole_is_refused(storage: Storage) -> None:
    first = made(Suppression(storage, keys=KEYS))
    first.add(ANN)
    kept = list(first.rows())
    turned = made(Suppression(storage, keys=Keys([b"n" * 32, b"k" * 32])))
    turned.load_rows(kept)  # in memory it is another list
    turned.add(BOB)
    send = sender(turned)
    for to in (ANN, BOB):
        with pytest.raises(Blocked):
            send(to, "hello")
    if "Memory" in repr(first):
        return

    with pytest.raises(Unavailable, match="list it as an older key"):
        sender(Suppression(storage, keys=Keys(b"n" * 32)))("cid@example.com", "hello")


def test_g10_without_a_list_nothing_is_sent(storage: Storage) -> None:
    suppression = Suppression(storage, keys=KEYS)
    if "Memory" in repr(suppression):
        return
    send = sender(suppression)

    with pytest.raises(Unavailable, match="create"):
        send(ANN, "hello")
    made(suppression)
    assert send(ANN, "hello") == "sent"


@pytest.mark.parametrize("fault", ["kill", "stop"])
def test_g10_nothing_is_sent_within_two_seconds_of_a_store_that_is_dead_or_hangs(server: Server, fault: str) -> None:
    send = sender(made(Suppression(server.url, keys=KEYS)))
    assert send(ANN, "hello") == "sent"
    getattr(server, fault)()
    for _ in range(3):
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            send(ANN, "hello")
        assert time.monotonic() - begun < 2


def test_g10_a_server_that_lost_its_list_lets_nothing_pass(server: Server) -> None:
    suppression = made(Suppression(server.url, keys=KEYS))
    suppression.add(ANN)
    server.restart()
    send = sender(suppression)
    with pytest.raises(Unavailable):
        send(BOB, "hello")
    made(suppression)
    assert send(BOB, "hello") == "sent"


def test_g10_a_server_that_dropped_any_of_its_keys_lets_nothing_pass(server: Server) -> None:
    suppression = Suppression(server.url, keys=KEYS)
    send = sender(suppression)
    with server.client() as client:
        for number in range(10):
            suppression.create()
            suppression.add(ANN)
            with pytest.raises(Blocked):
                send(ANN, "hello")
            keys = sorted(client.keys("*"))
            if number >= len(keys):
                return
            client.delete(keys[number])  # as a server that is full and may evict
            with pytest.raises(Unavailable):
                send(ANN, "hello")


def test_g10_a_file_that_was_taken_away_lets_nothing_pass(tmp_path: Path) -> None:
    suppression = made(Suppression(f"sqlite:///{tmp_path}/o.db", keys=KEYS))
    send = sender(suppression)
    assert send(ANN, "hello") == "sent"
    for left in tmp_path.glob("o.db*"):
        left.unlink()

    with pytest.raises(Unavailable, match="no opt-out list"):
        send(ANN, "hello")


def test_g10_a_file_that_was_replaced_is_asked_and_not_the_one_that_was_there(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/o.db"
    suppression = made(Suppression(storage, keys=KEYS))
    send = sender(suppression)
    assert send(ANN, "hello") == "sent"
    for left in tmp_path.glob("o.db*"):
        left.rename(tmp_path / f"old-{left.name}")
    elsewhere = made(Suppression(storage, keys=KEYS))  # another process, after a restore
    elsewhere.heard("STOP", sender=ANN, channel="sms")

    with pytest.raises(Blocked):
        send(ANN, "hello")
    elsewhere.close()


def test_g10_no_opt_out_is_lost_with_a_write_ahead_log_that_was_taken_away(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/o.db"
    suppression = made(Suppression(storage, keys=KEYS))
    suppression.add(ANN)
    for left in (*tmp_path.glob("o.db-*"),):
        left.unlink()
    suppression.add(BOB)  # not to a file that has no name any more

    rows = sqlite3.connect(tmp_path / "o.db").execute("SELECT count(*) FROM opt_outs").fetchone()
    assert rows == (2,)
    with pytest.raises(Blocked):
        sender(suppression)(ANN, "hello")
    suppression.close()


_FORKS = """
import os, sys, time
from guardrails.keys import Keys
from guardrails.ratelimit import Suppression

list_of_them = Suppression(sys.argv[1], keys=Keys(b"k" * 32))
list_of_them.create()
for number in range(3):
    if not os.fork():
        for late in (False, True):
            if late:
                time.sleep(0.3 * (number + 1))
            list_of_them.heard("STOP", sender=f"+1212555017{2 * number + late}", channel="sms")
        os._exit(0)
time.sleep(0.1)
list_of_them.close()
for _ in range(3):
    assert os.wait()[1] == 0
"""


def test_g10_no_opt_out_that_a_forked_worker_heard_is_lost(tmp_path: Path) -> None:
    """As of a server that builds its guards, forks its workers, and ends before they do."""
    storage = f"sqlite:///{tmp_path}/o.db"
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKS, storage], check=True, timeout=20)
    suppression = Suppression(storage, keys=KEYS)
    assert [suppression.has(f"+1212555017{number}", channel="sms") for number in range(6)] == [True] * 6
    suppression.close()


def test_a_new_file_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "o.db", isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE begun (one)")
    other.execute("BEGIN IMMEDIATE")  # to which the switch to a write-ahead log says no at once
    let_go = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    let_go.start()
    made(Suppression(f"sqlite:///{tmp_path}/o.db", keys=KEYS)).close()
    let_go.join()
    other.close()


def test_an_opt_out_waits_for_other_writers_longer_than_a_send_would(tmp_path: Path) -> None:
    suppression = made(Suppression(f"sqlite:///{tmp_path}/o.db", keys=KEYS))
    other = sqlite3.connect(tmp_path / "o.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    let_go = threading.Timer(1.5, other.execute, ["ROLLBACK"])
    let_go.start()
    assert suppression.heard("STOP", sender=ANN, channel="sms")
    let_go.join()
    other.close()
    assert suppression.has(ANN, channel="sms")


def test_an_async_send_asks_from_a_worker_thread(storage: Storage) -> None:
    suppression = made(Suppression(storage, keys=KEYS))
    suppression.add(BOB)

    @Guard(suppression, channel="sms")
    async def send(to: str, body: str) -> str:
        return "sent"

    async def main() -> str:
        with pytest.raises(Blocked):
            await send(BOB, "hello")
        return await send(ANN, "hello")

    with asyncio.Runner() as runner:
        assert runner.run(main()) == "sent"


def test_who_is_no_address_is_refused_unless_ids_are_taken_as_they_are() -> None:
    with pytest.raises(Denied, match="recipient 1 of 1 is neither"):
        sender(Suppression())("U123456", "hello")
    with pytest.raises(ConfigError, match="entry 2"):
        Suppression().load([ANN, "U123456"])
    ids = Suppression(opaque_ids=True)
    ids.add("U123456")
    with pytest.raises(Blocked):
        sender(ids)("U123456", "hello")
    national = Suppression(region="US")
    national.add(ANN)
    with pytest.raises(Blocked):
        sender(national)("(212) 555-0173", "hello")


def test_an_exempt_class_goes_out_and_the_record_says_so(tmp_path: Path) -> None:
    suppression = Suppression(exempt=("confirmation",))
    suppression.add(ANN)
    guard = Guard(AuditLog(tmp_path / "audit", durability="os", keys=KEYS), suppression, channel="sms")

    @guard
    def send(to: str, body: str) -> str:
        return "sent"

    with pytest.raises(Blocked):
        send(ANN, "hello")
    with message_class("confirmation"):
        assert send(ANN, "You will get no more messages.") == "sent"
    with message_class("marketing"), pytest.raises(Blocked):
        send(ANN, "hello")
    guard.close()
    written = "".join(path.read_text() for path in (tmp_path / "audit").rglob("*.jsonl"))
    assert written.count('"exempt":"confirmation"') >= 1
    assert "2125550173" not in written


def test_a_message_that_comes_in_is_not_held_back_and_a_preview_is() -> None:
    suppression = Suppression()
    suppression.add(ANN)
    assert sender(suppression, direction="inbound")(ANN, "hello") == "sent"
    assert not Guard(suppression, channel="sms").preview("hello", recipient=ANN).allowed


@pytest.mark.parametrize("language", sorted(STOP_WORDS))
def test_each_stop_word_is_heard_in_any_case_with_punctuation(language: str) -> None:
    for word in STOP_WORDS[language]:
        for said in (word, f" {word.upper()}! ", f"\u201c{word.title()}.\u201d"):
            assert is_stop(said, language=language), said
            assert is_stop(said)


def test_what_only_contains_a_stop_word_is_not_one() -> None:
    for said in ("please don't stop", "stop by at 5", "the end", "", "...", "stop" * 40, "stopover"):
        assert not is_stop(said)
    assert is_stop("S\u200btop")
    assert is_stop("ARR\u00caT", language="fr")
    assert is_stop("OPT-OUT")
    assert not is_stop("abmelden", language="fr")
    assert not is_stop("end", channel="chat")
    assert is_stop("unsubscribe", channel="email")
    with pytest.raises(ConfigError, match="no stop words"):
        is_stop("stop", language="xx")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"store": "postgres://x/1"}, "unknown storage"),
        ({"store": "sqlite://x"}, "sqlite:////absolute"),
        ({"store": "sqlite:////nowhere/at/all.db"}, "folder"),
        ({"store": "redis://db.example.com"}, "not be encrypted"),
        ({"store": "redis://localhost", "timeout_seconds": 5}, "at most 0.9"),
        ({"store": "redis://localhost", "max_connections": 0}, "max_connections"),
        ({"store": "redis://localhost", "keys": Keys.ephemeral()}, "key that is kept"),
        ({"store": object()}, "OptOutStore"),
        ({"exempt": "otp"}, "several"),
        ({"exempt": ("O T P",)}, "message class"),
    ],
)
def test_a_wrong_argument_is_told(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Suppression(**{"keys": KEYS, **wrong})


def test_a_store_of_ones_own_is_asked() -> None:
    class Own:
        blocks = False

        def opted_out(self, digests: Any, _: Any, /) -> Any:
            return digests[:1]

    own: Any = Own()
    with pytest.raises(Blocked, match="recipient 1 of 1"):
        sender(Suppression(own, keys=KEYS))(ANN, "hello")
