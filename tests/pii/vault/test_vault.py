"""Tokens: one per value and subject, kept encrypted, turned back for that subject only."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.errors import ConfigError, ControlError, Unavailable
from guardrails.keys import Keys
from guardrails.pii.vault import Pseudonym, Vault
from guardrails.pii.vault.restorer import Restorer
from guardrails.pii.vault.sqlite import SqliteStore
from guardrails.pii.vault.tokens import ALPHABET, codes_in, label_of, token_of
from guardrails.pii.vault.web import Address
from tests.pii.vault.conftest import KEYS, Make
from tests.servers import Server


@given(entity=st.text(max_size=30), code=st.text(ALPHABET, min_size=16, max_size=16), around=st.text(max_size=9))
def test_a_token_is_found_in_any_case_spacing_and_company(entity: str, code: str, around: str) -> None:
    token = token_of(entity, code)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")
    for written in (
        token,
        token.upper(),
        token.lower(),
        token.replace("-", " "),
        token.replace("-", "\\-"),
        f"**{token}**",
    ):
        assert code in [place.code for place in codes_in(around + label_of(entity) + written + around)]


def test_g5_a_value_has_one_token_for_its_subject_and_another_for_everybody_else(make: Make) -> None:
    vault = make()
    token = vault.session("ann").token("PERSON", "Ann")
    assert vault.session("ann").token("PERSON", "Ann") == token
    others = {
        vault.session("bob").token("PERSON", "Ann"),
        vault.session("ann", tenant="acme").token("PERSON", "Ann"),
        vault.session("ann").token("NRP", "Ann"),
        vault.session("ann").token("PERSON", "ann"),
    }
    assert len(others | {token}) == 5
    assert vault.restore(f"Hi {token.lower()}!", subject="ann") == "Hi Ann!"
    for subject, tenant in (("bob", None), ("ann", "acme"), ("nobody", None)):
        assert vault.restore(token, subject=subject, tenant=tenant) == token
    invented = token_of("PERSON", "b" * 16)
    assert vault.restore(invented, subject="ann") == invented


def test_g5_what_a_token_stands_for_is_not_looked_into_again(make: Make) -> None:
    session = (vault := make()).session("ann")
    inner = session.token("PERSON", "Ann")
    outer = session.token("VAULT_TOKEN", inner)
    assert vault.restore(f"{outer} {inner}", subject="ann") == f"{inner} Ann"


@given(
    pieces=st.lists(
        st.sampled_from(["T", "T", "\u0131", "\u017f", " ", "id", "IDPERSON", "-bcdf", "//", "www.", '"', "x"]), max_size=12
    ),
    data=st.data(),
)
@settings(deadline=None)
def test_g4_restoring_does_not_depend_on_the_chunks(pieces: list[str], data: st.DataObject) -> None:
    session = Vault(keys=KEYS).session("ann")
    token = session.token("PERSON", "Ann")
    text = "".join(token if piece == "T" else piece for piece in pieces)
    text = data.draw(st.sampled_from([text, text.replace("I", "\u0131"), text.replace("S", "\u017f"), text.upper()]))
    whole = Restorer(session)
    expected = whole.feed(text) + whole.flush()
    cut = Restorer(session)
    out, rest = "", text
    while rest:
        size = data.draw(st.integers(1, 9))
        out, rest = out + cut.feed(rest[:size]), rest[size:]
    assert out + cut.flush() == expected


def test_a_token_does_not_become_a_value_inside_a_web_address(make: Make) -> None:
    vault = make()
    token = vault.session("ann").token("PERSON", "Ann")
    addresses = [
        "https://example.com/?q=",
        "https:\\\\example.com\\",
        "example.com\\",
        "192.0.2.1/",
        "localhost:80/",
        "sms:+1?body=",
    ]
    addresses += ["https:&#47;&#x2F;example.com/", "data:text/html,", '<img src="https://example.com/ ', "example.com/"]
    for text in (f"{one}{token}" for one in addresses):
        assert vault.restore(text, subject="ann") == text
        assert "Ann" in vault.restore(text, subject="ann", links=True)
    for text in ("https://example.com/ ", "Tel: ", "data: ", "and/or/", "1.5/", "a; b;"):
        assert vault.restore(f"{text}{token}", subject="ann") == f"{text}Ann"


def test_an_address_ends_where_its_quotes_end() -> None:
    address = Address()
    address.read('see "https://example.com/a b')
    assert address.within == '"https://example.com/a b'
    address.read('" then')
    assert address.within == ""
    address.read("x" * 5_000)
    assert address.within


def test_values_are_kept_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    token = vault.session("ann-17", tenant="acme").token("EMAIL_ADDRESS", "ann@example.com")
    vault.own("ann-17", ["Ann Example"], tenant="acme")
    vault.link("whatsapp:+12125550173", subject="ann-17", tenant="acme")
    assert path.stat().st_mode & 0o077 == 0
    stored = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    for secret in (b"ann@", b"ann-17", b"Ann Example", b"2125550173", b"acme"):
        assert secret not in stored
    again = Vault(f"sqlite:///{path}", keys=KEYS)
    assert again.restore(token, subject="ann-17", tenant="acme") == "ann@example.com"


def test_another_key_refuses_to_start_and_a_rotated_one_goes_on(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'vault.db'}"
    token = Vault(storage, keys=KEYS).session("ann").token("PERSON", "Ann")
    with pytest.raises(ConfigError, match="another key"):
        Vault(storage, keys=Keys(b"w" * 32)).open()
    rotated = Vault(storage, keys=Keys((b"w" * 32, b"v" * 32)))
    assert rotated.restore(token, subject="ann") == "Ann"
    assert rotated.session("ann").token("PERSON", "Ann") == token


def test_an_altered_or_moved_row_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    token = vault.session("ann").token("PERSON", "Ann")
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute("UPDATE rows SET value = CAST(value || x'00' AS BLOB) WHERE length(key) = 16")
    with pytest.raises(ControlError, match="altered"):
        vault.restore(token, subject="ann")


@pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"])
def test_g5_concurrent_writers_agree_on_one_token(storage: str, tmp_path: Path, server: Server) -> None:
    address = {"memory": "memory://", "redis": server.url}.get(storage, f"sqlite:///{tmp_path / 'vault.db'}")
    vaults = [Vault(address, keys=KEYS)] * 4 if storage == "memory" else [Vault(address, keys=KEYS) for _ in range(4)]
    barrier = threading.Barrier(4)
    tokens: list[str] = []

    def write(vault: Vault) -> None:
        barrier.wait()
        tokens.extend(vault.session("ann").token("PERSON", f"Ann {number}") for number in range(5))

    threads = [threading.Thread(target=write, args=(vault,)) for vault in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 20
    assert len(set(tokens)) == 5
    assert vaults[0].restore(tokens[0], subject="ann") == "Ann 0"


def test_values_expire_and_those_in_use_are_renewed(make: Make) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = make(keep_seconds=100.0, clock=lambda: now)
    token, idle = (vault.session("ann").token("PERSON", name) for name in ("Ann", "Bob"))
    now += timedelta(seconds=60)
    assert vault.session("ann").token("PERSON", "Ann") == token
    now += timedelta(seconds=60)
    assert vault.restore(f"{token} {idle}", subject="ann") == f"Ann {idle}"


def test_g11_a_full_vault_refuses_new_values_and_drops_no_live_one(make: Make) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = make(most_values=2, keep_seconds=100.0, clock=lambda: now)
    tokens = [vault.session("ann").token("PERSON", name) for name in ("a", "b")]
    with pytest.raises(Unavailable, match="no live one is dropped"):
        vault.session("ann").token("PERSON", "c")
    assert vault.restore(" ".join(tokens), subject="ann") == "a b"
    now += timedelta(seconds=101)
    assert vault.session("ann").token("PERSON", "c")


def test_what_is_forgotten_or_destroyed_is_gone(make: Make) -> None:
    vault = make()
    token = vault.session("ann", tenant="acme").token("PERSON", "Ann")
    kept = vault.session("bob", tenant="acme").token("PERSON", "Bob")
    elsewhere = vault.session("ann").token("PERSON", "Ann")
    vault.link("+12125550173", subject="ann", tenant="acme")
    assert vault.forget("ann", tenant="acme") > 0
    assert vault.linked("+12125550173", "acme") is None
    assert vault.restore(token, subject="ann", tenant="acme") == token
    assert vault.session("ann", tenant="acme").token("PERSON", "Ann") != token
    assert vault.destroy("acme") > 0
    assert vault.restore(kept, subject="bob", tenant="acme") == kept
    assert vault.restore(elsewhere, subject="ann") == "Ann"


def test_g10_a_store_that_is_down_fails_closed(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    vault.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as rows:
        rows.execute("DROP TABLE rows")
    with pytest.raises(Unavailable, match="store failed") as raised:
        vault.session("ann").token("PERSON", "Ann")
    assert "Ann" not in str(raised.value)


def test_wrong_settings_are_refused(tmp_path: Path) -> None:
    for wrong in (
        lambda: Vault("file:///x"),
        lambda: Vault(f"sqlite:///{tmp_path}/no/vault.db", keys=KEYS),
        lambda: Vault(keep_seconds=0),
        lambda: Vault(most_values=0),
        lambda: Vault(keys=b"x"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Vault().session(""),
        lambda: Vault().own("ann", "Ann"),
        lambda: Vault().link("+12125550173", subject="ann", expires=datetime(2026, 1, 1)),  # noqa: DTZ001 - wrong on purpose
        lambda: Pseudonym(Vault()),
        lambda: Vault().require_production(),
    ):
        with pytest.raises(ConfigError):
            wrong()


def test_the_operator_runs_in_presidios_engine() -> None:
    from presidio_anonymizer import AnonymizerEngine  # noqa: PLC0415 - slow to load
    from presidio_anonymizer.entities import OperatorConfig, RecognizerResult  # noqa: PLC0415

    from guardrails.pii.operators_presidio import ANONYMIZERS  # noqa: PLC0415

    vault = Vault(keys=KEYS)
    engine = AnonymizerEngine()  # type: ignore[no-untyped-call]  # presidio's constructor has no annotations
    for operator in ANONYMIZERS:
        engine.add_anonymizer(operator)
    config = OperatorConfig("guardrails_pseudonym", {"vault": vault, "subject": "ann"})
    masked = engine.anonymize("Hi Ann", [RecognizerResult("PERSON", 3, 6, 1.0)], {"PERSON": config}).text
    assert masked != "Hi Ann"
    assert vault.restore(masked, subject="ann") == "Hi Ann"


def test_g10_a_server_that_dies_hangs_or_comes_back_empty_resolves_nothing(server: Server) -> None:
    vault = Vault(server.url, keys=KEYS)
    token = vault.session("zoe").token("PERSON", "Zoe")
    server.stop()
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="store failed") as raised:
        vault.session("zoe").token("PERSON", "Yan")
    assert time.monotonic() - begun < 3
    assert "Yan" not in str(raised.value)
    server.cont()
    server.restart()
    until = time.monotonic() + 10
    while True:
        try:
            assert vault.restore(token, subject="zoe") == token
        except Unavailable:  # the breaker asks again after a pause
            assert time.monotonic() < until
        else:
            break
    server.kill()
    with pytest.raises(Unavailable):
        vault.restore(token, subject="zoe")
    server.start()


def test_rows_of_a_server_expire_with_it_and_hold_nothing_readable(server: Server) -> None:
    with server.client() as client:
        client.flushall()
        vault = Vault(server.url, keys=KEYS)
        vault.session("ann-17", tenant="acme").token("EMAIL_ADDRESS", "ann@example.com")
        vault.own("ann-17", ["Ann Example"], expires=datetime.now(UTC) + timedelta(seconds=90))
        vault.link("+12125550173", subject="ann-17", expires=datetime.now(UTC) + timedelta(seconds=60))
        vault.link("+12125550174", subject="ann-17")
        names = list(client.scan_iter())
        assert (
            len([name for name in names if 0 < client.ttl(name) <= 91]) == 4
        )  # a link; a name as a whole, by its words, and whose
        assert len([name for name in names if 91 < client.ttl(name) <= 60 * 86_400]) == 1  # her key and her value
        stored = repr([client.execute_command("HGETALL", name, NEVER_DECODE=True) for name in names] + names)
        for secret in ("ann@", "ann-17", "Ann Example", "2125550173", "acme"):
            assert secret not in stored
        vault.destroy("acme")
        vault.forget("ann-17")
        assert list(client.scan_iter(match="*/s/*")) == []


def test_g8_a_server_elsewhere_needs_tls_and_a_key_of_yours() -> None:
    for wrong in (
        lambda: Vault("redis://cache.example.com/0", keys=KEYS),
        lambda: Vault("redis://127.0.0.1/0"),
        lambda: Vault("http://127.0.0.1/0", keys=KEYS),
        lambda: Vault("sqlite://x", keys=KEYS),
        lambda: Vault(5, keys=KEYS),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Vault("redis://127.0.0.1/0", keys=KEYS, keys_in="memory://"),
    ):
        with pytest.raises(ConfigError):
            wrong()  # type: ignore[no-untyped-call]  # a lambda
    Vault("rediss://cache.example.com/0", keys=KEYS)
    Vault("redis://cache.example.com/0", keys=KEYS, plaintext_hosts=["cache.example.com"])


def test_g5_what_was_forgotten_cannot_be_read_in_a_backup_of_the_values(tmp_path: Path) -> None:
    keys = f"sqlite:///{tmp_path / 'keys.db'}"
    vault = Vault(f"sqlite:///{tmp_path / 'vault.db'}", keys=KEYS, keys_in=keys)
    token = vault.session("ann").token("PERSON", "Ann")
    vault.close()
    shutil.copy(tmp_path / "vault.db", tmp_path / "backup.db")
    backup = Vault(f"sqlite:///{tmp_path / 'backup.db'}", keys=KEYS, keys_in=keys)
    assert backup.restore(token, subject="ann") == "Ann"
    vault.forget("ann")
    assert backup.restore(token, subject="ann") == token
    assert vault.session("ann").token("PERSON", "Ann") != token
    assert backup.restore(token, subject="ann") == token


_FORKS = """
import os, sys, time
from guardrails.keys import Keys
from guardrails.pii.vault.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
for number in range(3):
    if not os.fork():
        for late in (0, 1):
            time.sleep(0.3 * (number + 1) * late)
            store.put("group", f"{number}{late}", b"value", until=9e9, now=0.0)
        os._exit(0)
time.sleep(0.1)
store.close()
for _ in range(3):
    assert os.wait()[1] == 0
"""


def test_g5_no_token_that_a_forked_worker_stored_is_lost(tmp_path: Path) -> None:
    """As of a server that builds its guards, forks its workers, and ends before they do."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKS, str(tmp_path / "v.db")], check=True, timeout=20)
    store = SqliteStore(tmp_path / "v.db")
    assert sorted(store.keys(["group"], now=0.0)) == ["00", "01", "10", "11", "20", "21"]
    store.close()


def test_g5_a_file_that_is_put_back_from_a_backup_is_the_one_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    vault = Vault(f"sqlite:///{path}", keys=KEYS)
    before = vault.session("ann").token("PERSON", "Ann Example")
    vault.close()
    backup = path.read_bytes()
    after = vault.session("ann").token("PERSON", "Bob Example")
    for left in tmp_path.glob("vault.db*"):
        left.unlink()
    path.write_bytes(backup)

    assert vault.restore(f"{before} and {after}", subject="ann") == f"Ann Example and {after}"
    vault.close()
