"""Keys: right digests, nothing secret shown, and no key that nobody chose without saying so."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guardrails.errors import ConfigError, Unavailable
from guardrails.keys import Digester, Keys

MASTER = bytes(range(32))
OLDER = bytes(range(32, 64))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("GUARDRAILS_HOME", str(folder))
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    return folder


def test_a_digest_is_hmac_sha256_under_an_hkdf_sub_key() -> None:
    info = b"platform-guardrails/keys/1" + (5).to_bytes(4, "big") + b"audit" + b"tacme"
    sub_key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(MASTER)
    expected = hmac.new(sub_key, b"+12125550173", hashlib.sha256).digest()

    digester = Keys(MASTER).digester("audit", "acme")

    assert digester.digest("+12125550173") == expected
    assert digester.digest(b"+12125550173") == expected
    encoded = base64.urlsafe_b64encode(expected).rstrip(b"=").decode()
    assert digester.label("+12125550173") == f"hmac-sha256:{digester.key_id}:{encoded}"


def test_purposes_and_tenants_never_share_a_sub_key() -> None:
    keys = Keys(MASTER)
    pairs = [("a", None), ("a", ""), ("a", "b"), ("ab", None), ("b", None), ("at", None), ("b", "a")]

    digests = {keys.digester(purpose, tenant).digest("x") for purpose, tenant in pairs}
    key_ids = {keys.digester(purpose, tenant).key_id for purpose, tenant in pairs}

    assert len(digests) == len(key_ids) == len(pairs)


def test_the_same_master_gives_the_same_labels_everywhere() -> None:
    text = MASTER.hex()
    padded = base64.b64encode(MASTER).decode()
    written = [Keys.from_text(one) for one in (text, text.upper(), f" {text}\n", padded, padded.rstrip("="))]
    written.append(Keys.from_text(base64.urlsafe_b64encode(bytes([251, 255]) * 16).decode()))

    assert {keys.digester("p").label("x") for keys in written[:-1]} == {Keys(MASTER).digester("p").label("x")}
    assert written[-1].digester("p").label("x") == Keys(bytes([251, 255]) * 16).digester("p").label("x")


def test_readers_look_under_every_key_and_writers_use_the_newest() -> None:
    newest, older = Keys(MASTER).digester("p"), Keys(OLDER).digester("p")
    both = Keys([MASTER, OLDER]).digester("p")

    assert both.label("x") == newest.label("x")
    assert both.all_labels("x") == (newest.label("x"), older.label("x"))
    assert both.key_id == newest.key_id
    assert both.all_labels(b"x") == both.all_labels("x")


def test_every_text_has_a_digest() -> None:
    digester = Keys.ephemeral().digester("p")

    assert len({digester.digest(text) for text in ("", "\ud800", "\x00", "\u00e9", "e\u0301")}) == 5


def test_digesters_are_kept_and_bounded() -> None:
    keys = Keys(MASTER)

    assert keys.digester("p", "t") is keys.digester("p", "t")
    for number in range(5_000):
        keys.digester("p", str(number))
    assert len(keys._digesters) <= 4_096


@pytest.mark.parametrize("bad", [b"", b"short", b"k" * 33, [], [b"k" * 32, b"x"], "k" * 32, [None], 5, None])
def test_key_material_of_another_length_or_type_is_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="32 bytes"):
        Keys(bad)  # type: ignore[arg-type]  # wrong on purpose


def _frames(error: BaseException) -> str:
    """Everything that a traceback with locals would print of our frames."""
    seen = []
    trace = error.__traceback__
    while trace is not None:
        if "guardrails" in trace.tb_frame.f_globals.get("__name__", ""):
            seen.append(repr(trace.tb_frame.f_locals))
        trace = trace.tb_next
    return " ".join([*seen, str(error), repr(error), repr(error.__cause__), repr(error.__context__)])


@pytest.mark.parametrize("bad", ["secretsecret", "zz" * 32, "", "=" * 44, "\ud800", "s3cret" * 20, "ab " * 32])
def test_g3_a_bad_key_is_never_shown(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as from_text:
        Keys.from_text(bad)
    assert not bad or bad not in _frames(from_text.value)

    if bad != "\ud800":  # not a value that an environment can hold
        monkeypatch.setenv("GUARDRAILS_KEY", bad)
        with pytest.raises(ConfigError, match="GUARDRAILS_KEY") as from_env:
            Keys.default().digester("p")
        assert not bad or bad not in _frames(from_env.value)


def test_g3_no_secret_in_a_repr_or_a_pickle() -> None:
    keys = Keys(MASTER)
    digester = keys.digester("p")

    for shown in (repr(keys), str(digester), repr(Keys.ephemeral()), repr(Keys.default())):
        assert MASTER.hex() not in shown
        assert "x00" not in shown
    for secret in (keys, digester):
        for refused in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="secret"):
                refused(secret)


def test_a_provider_is_asked_once_at_first_use() -> None:
    asked: list[int] = []

    def provider() -> list[bytes]:
        asked.append(1)
        return [MASTER, OLDER]

    keys = Keys(provider)
    assert asked == []
    first = keys.digester("p").all_labels("x")
    keys.digester("q")

    assert asked == [1]
    assert first == Keys([MASTER, OLDER]).digester("p").all_labels("x")
    assert keys.auto_created is False


def test_g10_a_provider_that_fails_is_unavailable_and_is_asked_again() -> None:
    answers: list[object] = [RuntimeError("token s3cret"), "not bytes", MASTER]

    def provider() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]  # wrong once, on purpose

    keys = Keys(provider)
    with pytest.raises(Unavailable, match="RuntimeError") as failed:
        keys.digester("p")
    assert "s3cret" not in _frames(failed.value)
    with pytest.raises(ConfigError, match="32 bytes"):
        keys.digester("p")
    assert keys.digester("p").digest("x") == Keys(MASTER).digester("p").digest("x")


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("GUARDRAILS_KEY", MASTER.hex())
    keys = Keys.default()

    assert keys.auto_created is False
    assert keys.digester("p").digest("x") == Keys(MASTER).digester("p").digest("x")
    keys.require_production()
    keys.refuse_inside(home)
    assert not home.exists()
    monkeypatch.delenv("GUARDRAILS_KEY")
    assert keys.auto_created is False  # what is in use does not change with the environment


def test_production_refuses_a_key_that_nobody_chose() -> None:
    with pytest.raises(ConfigError, match="GUARDRAILS_KEY"):
        Keys.default().require_production()
    with pytest.raises(ConfigError, match="ephemeral"):
        Keys.ephemeral().require_production()
    Keys(MASTER).require_production()


def test_a_process_that_forks_keeps_its_keys() -> None:
    digester = Keys.ephemeral().digester("p")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, digester.digest("x"))
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 64) == digester.digest("x")
    os.close(reader)
    os.close(writer)


def test_importing_keys_loads_nothing_heavy() -> None:
    heavy = ("cryptography", "phonenumbers", "idna")
    code = f"import sys, guardrails.keys, guardrails.address; print([m for m in {heavy} if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_a_digester_says_its_key_id_and_how_many_keys_it_reads() -> None:
    digester = Keys([MASTER, OLDER]).digester("p")

    assert isinstance(digester, Digester)
    assert repr(digester) == f"Digester(key_id={digester.key_id!r}, keys=2)"
    assert len(digester.key_id) == 12
