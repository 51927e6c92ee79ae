"""A reviewer finds a person's records with keys that can do nothing else; destroyed secrets find nobody, and change nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardrails import ConfigError, Guard, context
from guardrails.audit import AuditLog, read_records, verify_directory
from guardrails.audit.digests import RECIPIENT
from guardrails.audit.lookup import KINDS, Lookup, exported
from guardrails.cli.app import app
from guardrails.keys import Epochs, Keys
from tests.audit.sinks import PHONE
from tests.audit.test_anchors import new_signer, trusted, written

MASTER = b"k" * 32
DAY = 86_400 * 10**9


def logged(folder: Path, keys: Keys, tenants: tuple[str, ...] = ("acme", "globex")) -> None:
    log = AuditLog(folder, keys=keys)

    @Guard(log, channel="sms")
    def send(to: str, body: str, tenant: str) -> str:
        return f"sent {len(to) + len(body) + len(tenant)}"

    for tenant in tenants:
        send(PHONE, "hello", tenant)
    log.close()


def recipients(folder: Path) -> list[tuple[str, str]]:
    intents = [one for one in read_records(folder) if one["stage"] == "intent"]
    return [(one["tenant"], one["recipients"][0]["digest"]) for one in intents]


def test_every_kind_of_digest_is_found_by_what_was_digested(tmp_path: Path) -> None:
    keys = Keys(MASTER)
    log = AuditLog(tmp_path, keys=keys)
    with context(conversation="talk with ann@example.com"):
        Guard(log, channel="sms")(lambda to, body: f"reply {len(to) + len(body)}")(PHONE, "hello")
    log.close()

    lookup = Lookup.of(keys, None)
    _, intent, outcome, _ = read_records(tmp_path)
    assert intent["recipients"][0]["digest"] in lookup.labels("recipient", "+1 (212) 555-0173")
    assert intent["content"]["digest"] in lookup.labels("content", "hello")
    assert intent["conversation"] in lookup.labels("id", "talk with ann@example.com")
    assert outcome["reply"] in lookup.labels("reply", "reply 17")
    with pytest.raises(ConfigError, match="kind"):
        lookup.labels("names", "Ann")


def test_old_keys_are_looked_up_too(tmp_path: Path) -> None:
    logged(tmp_path, Keys(b"o" * 32), ("acme",))
    ((_, digest),) = recipients(tmp_path)
    assert digest in Lookup.of(Keys([MASTER, b"o" * 32]), "acme").labels("recipient", PHONE)
    assert digest not in Lookup.of(Keys(MASTER), "acme").labels("recipient", PHONE)


def test_g3_exported_keys_find_one_tenants_people_and_do_nothing_else(tmp_path: Path) -> None:
    keys = Keys(MASTER)
    logged(tmp_path / "log", keys)
    told = exported(keys, "acme")
    (tmp_path / "export").write_text(json.dumps(told))

    lookup = Lookup.read(tmp_path / "export")
    found = {tenant for tenant, digest in recipients(tmp_path / "log") if digest in lookup.labels("recipient", PHONE)}
    assert found == {"acme"}
    assert lookup.tenant == "acme"
    text = json.dumps(told)
    assert MASTER.hex() not in text
    assert set(told["keys"]) == set(KINDS.values())  # nothing of vault, limits, signatures
    assert "6b6b" not in repr(lookup)
    with pytest.raises(TypeError):
        lookup.__reduce__()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"schema_version":1,"purpose":"audit-lookup","tenant":null,"keys":{"a":["00"]}}']
)
def test_something_else_is_no_export(text: str, tmp_path: Path) -> None:
    (tmp_path / "export").write_text(text)
    with pytest.raises(ConfigError, match="guardrails keys export"):
        Lookup.read(tmp_path / "export")
    with pytest.raises(ConfigError, match="cannot be read"):
        Lookup.read(tmp_path / "nowhere")


# -- epochs


def test_digests_of_each_epoch_have_a_key_of_their_own_and_all_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(MASTER, epochs=Epochs(tmp_path / "epochs", days=30))
    logged(tmp_path / "log", keys)
    now = time.time_ns()
    monkeypatch.setattr("guardrails.keys.epochs.time.time_ns", lambda: now + 40 * DAY)
    logged(tmp_path / "log", keys)

    digests = recipients(tmp_path / "log")
    assert len({digest for _, digest in digests}) == 4
    for tenant in ("acme", "globex"):
        labels = Lookup.of(keys, tenant).labels("recipient", PHONE)
        assert {digest for whose, digest in digests if whose == tenant} == set(labels)
        assert set(labels) == set(keys.labels(RECIPIENT, tenant, PHONE))


def test_the_same_epoch_gives_the_same_digest_in_every_process(tmp_path: Path) -> None:
    for _ in range(2):
        logged(tmp_path / "log", Keys(MASTER, epochs=Epochs(tmp_path / "epochs")), ("acme",))
    assert len({digest for _, digest in recipients(tmp_path / "log")}) == 1


def test_g3_a_destroyed_secret_finds_nobody_and_the_chain_stays_valid(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path / "epochs")
    keys = Keys(MASTER, epochs=epochs)
    logged(tmp_path / "log", keys)
    assert epochs.destroy("acme") == 1

    fresh = Keys(MASTER, epochs=Epochs(tmp_path / "epochs"))
    assert Lookup.of(fresh, "acme").labels("recipient", PHONE) == ()
    assert len(Lookup.of(fresh, "globex").labels("recipient", PHONE)) == 1
    assert verify_directory(tmp_path / "log").exit_code == 0
    assert epochs.destroy("acme") == 0


def test_secrets_are_for_their_owner_only_and_in_no_repr(tmp_path: Path) -> None:
    epochs = Epochs(tmp_path / "epochs")
    salt = epochs.current(None)
    (path,) = (tmp_path / "epochs" / "none").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert salt.secret.hex() not in repr(salt) + repr(epochs)
    assert epochs.all(None) == (salt,)
    with pytest.raises(TypeError):
        epochs.__reduce__()


@pytest.mark.parametrize("text", ["", "zz" * 32, "00" * 32, "ab" * 31])
def test_a_damaged_secret_is_refused_never_replaced(text: str, tmp_path: Path) -> None:
    Epochs(tmp_path).current(None)
    (path,) = (tmp_path / "none").iterdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        Epochs(tmp_path).current(None)


def test_epochs_that_cannot_be_used_are_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError):
        Epochs(tmp_path / "file").current(None)
    with pytest.raises(ConfigError, match="days"):
        Epochs(tmp_path, days=0)
    with pytest.raises(ConfigError, match="epochs lie inside"):
        AuditLog(tmp_path / "log", keys=Keys(MASTER, epochs=Epochs(tmp_path / "log" / "epochs")))


# -- the command line


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GUARDRAILS_KEY", MASTER.hex())
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    return tmp_path


def run(*arguments: str, text: str = "", status: int = 0) -> str:
    done = CliRunner().invoke(app, arguments, input=text)
    assert done.exit_code == status, done.output
    return done.output


def test_hash_reads_from_stdin_and_prints_digests_only(home: Path) -> None:
    logged(home / "log", Keys(MASTER))
    for tenant, digest in recipients(home / "log"):
        out = run("audit", "hash", "--tenant", tenant, text=f"{PHONE}\n\n")
        assert out.split() == [digest]
    (review,) = [one for one in read_records(home / "home" / "reviews") if one.get("asked", {}).get("tenant") == "acme"]
    assert review["command"] == "hash"
    assert "555" not in json.dumps(review)
    run("audit", "hash", "--kind", "names", status=2)


def test_a_reviewer_works_with_an_export_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(home / "log", Keys(MASTER))
    export = str(home / "acme.keys")
    run("keys", "export", "--purpose", "audit-lookup", "--tenant", "acme", "--out", export)
    assert os.stat(export).st_mode & 0o777 == 0o600  # noqa: PTH116 - a path as text
    run("keys", "export", "--purpose", "audit-lookup", "--tenant", "acme", "--out", export, status=2)
    run("keys", "export", "--purpose", "vault", status=2)
    assert json.loads(run("keys", "export", "--purpose", "audit-lookup"))["tenant"] is None

    monkeypatch.setenv("GUARDRAILS_KEY", "f" * 64)  # the reviewer has another key, or none
    (digest,) = run("audit", "hash", "--keys", export, text=PHONE).split()
    assert ("acme", digest) in recipients(home / "log")
    run("audit", "hash", "--keys", export, "--tenant", "globex", status=2)


def test_epochs_are_listed_and_destroyed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_EPOCHS", f"{home / 'epochs'}:7")
    logged(home / "log", Keys.default())
    (epoch,) = run("keys", "epochs", "--tenant", "acme").split()
    run("keys", "destroy", "--tenant", "acme", status=2)
    assert run("keys", "destroy", "--tenant", "acme", "--epoch", epoch, "--yes") == "1 destroyed\n"
    assert run("keys", "epochs", "--tenant", "acme", "--epochs", str(home / "epochs")) == ""
    assert run("audit", "hash", "--tenant", "acme", text=PHONE) == ""
    monkeypatch.delenv("GUARDRAILS_EPOCHS")
    run("keys", "epochs", status=2)


def test_prove_and_check_proof_on_the_command_line(home: Path) -> None:
    signer = new_signer(home)
    written(home, signer)
    trust = str(trusted(home, signer))
    intent = next(one for one in read_records(home / "log") if one["stage"] == "intent")
    log, anchor, proof = (str(home / name) for name in ("log", "anchor", "proof"))
    run("audit", "prove", log, intent["send_id"], "--anchor", anchor, "--out", proof)
    assert run("audit", "prove", log, intent["send_id"], "--anchor", anchor).encode() == Path(proof).read_bytes()
    assert json.loads(run("audit", "check-proof", proof, "--trust", trust)) == intent
    checkpoint = home / "note"
    checkpoint.write_bytes(Path(proof).read_bytes().partition(b"\n\n")[2])
    run("audit", "check-proof", proof, "--trust", trust, "--checkpoint", str(checkpoint))
    Path(proof).write_bytes(Path(proof).read_bytes().replace(b"index 1", b"index 2"))
    assert "NOT PROVEN" in run("audit", "check-proof", proof, "--trust", trust, status=1)
    run("audit", "prove", log, "0" * 32, "--anchor", anchor, status=2)


def test_the_schema_is_printed(home: Path) -> None:
    assert home.exists()
    assert json.loads(run("audit", "schema"))["title"] == "A record of the audit log"
