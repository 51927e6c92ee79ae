"""A vault among forks, clocks, rotated keys, altered rows and attackers: what a stranger's programs found."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, MaskPII
from guardrails.errors import ConfigError, ControlError, GuardrailsError
from guardrails.keys import Keys
from guardrails.pii import Pseudonym, Vault
from guardrails.pii.vault.restorer import Restorer
from guardrails.pii.vault.store import MemoryStore
from tests.pii.vault.conftest import KEYS, Make
from tests.servers import Server

ANN = "+12125550101"


def in_frames(act: Callable[[], object], *secrets: str) -> list[str]:
    """Which of our frames hold one of *secrets* when *act* raises, and the error itself."""
    with pytest.raises(GuardrailsError) as raised:
        act()
    error: BaseException | None = raised.value
    found = []
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            if "guardrails" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
                shown = [repr(value) for value in frame.f_locals.values()]
                found += [frame.f_code.co_name for secret in secrets for one in shown if secret in one]
            trace = trace.tb_next
        found += [type(error).__name__ for secret in secrets if secret in repr(error)]
        error = error.__cause__ or error.__context__
    return found


def test_g3_an_error_of_the_vault_holds_nothing_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    vault.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute("DROP TABLE rows")
    token = "IDPERSON-bcdf-ghjk-lmnp-qrst"
    acts: list[Callable[[], object]] = [
        lambda: vault.restore(f"Ann Smith {token}", subject="ann"),
        lambda: vault.own("ann", ["Ann Smith"]),
        lambda: vault.link("Ann Smith", subject="ann"),
        lambda: vault.unlink("Ann Smith"),
        lambda: vault.linked("Ann Smith", None),
        lambda: vault.forget_address("Ann Smith"),
        lambda: vault.values_of_address("Ann Smith"),
        lambda: vault.session("ann").token("PERSON", "Ann Smith"),
        lambda: Pseudonym(vault, subject="ann").apply("PERSON", "Ann Smith"),
    ]
    assert [in_frames(act, "Ann Smith") for act in acts] == [[]] * len(acts)


@pytest.mark.parametrize("change", ["value = 'x'", "value = NULL", "value = x'00'", "until = 'never'"])
def test_g10_a_row_that_was_altered_in_any_way_is_a_clear_error(change: str, tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    token = vault.session("ann").token("PERSON", "Ann")
    vault.link(ANN, subject="ann")
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute(f"UPDATE rows SET {change} WHERE key != 'check'")  # noqa: S608 - words of this file
    send = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="sms").wrap(
        lambda to, body: body if to else ""
    )
    for act in (
        lambda: vault.restore(token, subject="ann"),
        lambda: vault.session("ann").token("PERSON", "Ann"),
        lambda: vault.values("ann"),
        lambda: send(ANN, "ann@example.com"),
    ):
        with pytest.raises(ControlError, match="altered"):
            act()


def test_g10_a_servers_row_that_was_altered_is_a_clear_error(server: Server) -> None:
    server.empty()
    vault = Vault(server.url, keys=KEYS)
    token = vault.session("ann").token("PERSON", "Ann")
    with server.client() as client:
        for name in list(client.scan_iter(match="*/s/*")):
            for field in client.hkeys(name):
                client.hset(name, field, b"Ann was here")
    with pytest.raises(ControlError, match="altered") as raised:
        vault.restore(token, subject="ann")
    assert "here" not in str(raised.value)
    assert vault.forget("ann") == 2


def test_a_server_that_was_emptied_belongs_to_whose_key_is_used_first(server: Server) -> None:
    server.empty()
    vault = Vault(server.url, keys=KEYS)
    vault.session("ann").token("PERSON", "Ann")
    with server.client() as client:
        client.flushall()
    vault.session("ann").token("PERSON", "Ann")
    with pytest.raises(ConfigError, match="another key"):
        Vault(server.url, keys=Keys(b"w" * 32)).open()


_FORKS = """
import os, signal, sys, threading
from guardrails.keys import Keys
from guardrails.pii.vault import Vault

vault, going = Vault(keys=Keys(b"v" * 32)), True

def write(number):
    while going:
        number += 1
        vault.session(f"a{number % 50}").token("PERSON", f"x{number}")

threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(3)]
sys.setswitchinterval(1e-6)
for thread in threads:
    thread.start()
ended = []
for _ in range(40):
    child = os.fork()
    if not child:
        signal.alarm(10)
        vault.session("child").token("PERSON", "x")
        os._exit(0)
    ended.append(os.waitpid(child, 0)[1])
going = False
assert ended == [0] * 40, ended
"""


def test_a_process_that_forks_while_threads_write_leaves_no_child_waiting() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKS], check=True, timeout=60)


def test_who_is_forgotten_while_others_register_them_leaves_nothing_that_cannot_be_forgotten() -> None:
    vault, going, errors = Vault(keys=KEYS), True, []

    def write(number: int) -> None:
        try:
            while going:
                vault.own("ann", [f"ann{number}@example.com"])
                vault.link(f"+1212555010{number}", subject="ann")
                vault.session("ann").token("PERSON", "Ann")
        except GuardrailsError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(150):
            vault.forget("ann")
        going = False
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    vault.forget("ann")
    assert errors == []
    store = vault._rows.store
    assert isinstance(store, MemoryStore)
    assert [group for group, rows in store._groups.items() if rows] == ["about"]


@given(steps=st.lists(st.tuples(st.integers(-20, 90), st.integers(0, 3)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=60)
def test_g5_a_token_is_restored_for_as_long_as_a_value_is_kept_whatever_the_clock_does(
    steps: list[tuple[int, int]],
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = Vault(keys=KEYS, keep_seconds=100.0, clock=lambda: now)
    held = vault.session("ann")  # by somebody who never lets go of it
    issued: dict[str, tuple[str, datetime]] = {}
    for seconds, number in steps:
        now += timedelta(seconds=seconds)
        session = held if number % 2 else vault.session("ann")
        value = f"Ann {number}"
        token = session.token("PERSON", value)
        last = max(now, issued[token][1]) if token in issued else now
        issued[token] = (value, last)
        for one, (was, since) in issued.items():
            restored = vault.restore(one, subject="ann")
            assert restored in (one, was)
            if now < since + timedelta(seconds=50):  # renewed when half of the time is over
                assert restored == was


def test_g11_what_nobody_uses_any_more_is_deleted(make: Make, request: pytest.FixtureRequest) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = make(keep_seconds=100.0, clock=lambda: now)
    for number in range(40):
        vault.session(f"subject-{number}").token("PERSON", "Ann")
    now += timedelta(seconds=1_000)
    store = vault._rows.store
    for number in range(1_200 if isinstance(store, MemoryStore) else 5):
        vault.session("ann").token("PERSON", f"Ann {number}")
    if isinstance(store, MemoryStore):
        assert len(store._groups) <= 3
    elif "sqlite" in request.node.name or "apart" in request.node.name:
        path = request.getfixturevalue("tmp_path") / "vault.db"
        with closing(sqlite3.connect(path)) as rows:
            (left,) = rows.execute("SELECT count(*) FROM rows WHERE until < ?", (now.timestamp(),)).fetchone()
        assert left == 0
    else:  # a hash expires with its last row, by the server's clock
        server: Server = request.getfixturevalue("servers")(request.node.callspec.params["make"])
        with server.client() as client:
            assert all(0 < client.ttl(name) <= 201 for name in client.scan_iter(match="*/s/*"))


def test_g11_a_busy_persons_expired_values_are_deleted_too(server: Server) -> None:
    server.empty()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = Vault(server.url, keys=KEYS, keep_seconds=100.0, clock=lambda: now)
    for number in range(30):
        vault.session("ann").token("PERSON", f"Ann {number}")
        now += timedelta(seconds=20)
    with server.client() as client:
        (name,) = client.scan_iter(match="*/s/*")
        assert client.hlen(name) <= 7


def test_a_person_who_was_idle_has_new_tokens_and_the_old_ones_stay_as_they_are(make: Make) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = make(keep_seconds=100.0, clock=lambda: now)
    old = vault.session("ann").token("PERSON", "Ann")
    now += timedelta(seconds=201)
    new = vault.session("ann").token("PERSON", "Ann")
    assert new != old
    assert vault.restore(f"{old} {new}", subject="ann") == f"{old} Ann"


def test_g5_an_expired_token_that_is_typed_comes_back_as_it_was_typed() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = Vault(keys=KEYS, keep_seconds=100.0, clock=lambda: now)
    vault.link("conversation:c", subject="ann")
    old = vault.session("ann").token("EMAIL_ADDRESS", "ann@example.com")
    now += timedelta(seconds=60)
    vault.session("ann").token("PERSON", "Ann")  # her key lives on
    now += timedelta(seconds=60)
    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="llm")

    def ask(prompt: str, conversation: str) -> str:
        return prompt if conversation else ""

    for typed in (f"{old} ann@example.com", f"x{old.lower()}s ann@example.com {old.replace('-', ' ')}"):
        assert guard.wrap(ask, reply="restore")(typed, "c") == typed


def test_processes_whose_keys_are_rotated_one_after_the_other_restore_each_others_tokens(tmp_path: Path) -> None:
    old, new = b"o" * 32, b"n" * 32
    storage = f"sqlite:///{tmp_path / 'vault.db'}"
    before, both, after = (Vault(storage, keys=Keys(keys)) for keys in ([old], [old, new], [new, old]))
    for vault in (before, both, after):
        vault.open()
    tokens = [vault.session("ann").token("PERSON", f"Ann {number}") for number, vault in enumerate((after, before))]
    for vault in (both, after):
        assert vault.restore(" ".join(tokens), subject="ann") == "Ann 0 Ann 1"
    assert len(after.values("ann")) == 2
    after.link(ANN, subject="ann", verified=True)
    both.link(ANN, subject="bob", verified=True)
    assert after.linked(ANN, None) == ("subject:bob", True)
    assert after.forget("ann") > 0
    for vault in (before, both, after):
        assert vault.restore(" ".join(tokens), subject="ann") == " ".join(tokens)


@pytest.mark.parametrize(
    "address",
    [
        "evil.example./",
        "https:&#47&#47evil.example&#47",
        "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444/",
        "xn--e1afmkfd.xn--p1ai/",
        "evil\u3002example/",
        "https:\\u002f\\u002fevil\\u002f?q=",
        "https%3A%2F%2Fevil.example%2F",
    ],
)
def test_no_value_goes_into_an_address_however_it_is_written(address: str) -> None:
    vault = Vault(keys=KEYS)
    token = vault.session("ann").token("PERSON", "Ann")
    assert vault.restore(address + token, subject="ann") == address + token
    assert vault.restore(f"{address} {token}", subject="ann") == f"{address} Ann"


def test_no_value_goes_into_what_a_tool_is_called_with_however_an_api_calls_it() -> None:
    vault = Vault(keys=KEYS)
    vault.link("conversation:c", subject="ann")
    fields = ["functionCall", "toolCalls", "tool-calls", "Function_Call", "toolUse", "args", "partial_json", "tool_input"]

    def ask(prompt: str, conversation: str) -> dict[str, Any]:
        return {"text": prompt, **{field: {"x": [prompt]} for field in fields}} if conversation else {}

    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="llm")
    reply = guard.wrap(ask, reply="restore")("ann@example.com", "c")
    assert reply.pop("text") == "ann@example.com"
    assert "@" not in json.dumps(reply)


@pytest.fixture(scope="module")
def calling() -> tuple[Vault, Guard]:
    vault = Vault(keys=KEYS)
    vault.link("conversation:c", subject="ann")
    mask = MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}, restore_into=["tools"])
    return vault, Guard(mask, channel="llm")


@given(value=st.text(st.sampled_from('Ab "\\\n\u2028/\u00e9'), min_size=1, max_size=12), cut=st.integers(1, 9))
@settings(deadline=None, max_examples=50)
def test_json_that_a_tool_is_called_with_is_json_with_the_values_in_it(
    calling: tuple[Vault, Guard], value: str, cut: int
) -> None:
    vault, guard = calling
    session = vault.session("ann")
    token = session.token("PERSON", value)

    def ask(prompt: str, conversation: str) -> dict[str, Any]:
        return {"arguments": json.dumps({"to": f"{prompt} {token}"}), "input": f"{token}!"} if conversation else {}

    reply = guard.wrap(ask, reply="restore")("hi", "c")
    assert json.loads(reply["arguments"]) == {"to": f"hi {value}"}
    assert reply["input"] == f"{value}!"
    streamed = Restorer(session, calls=True)
    whole = json.dumps({"to": token})
    pieces = [streamed.feed(whole[at : at + cut]) for at in range(0, len(whole), cut)]
    assert json.loads("".join(pieces) + streamed.flush()) == {"to": value}
