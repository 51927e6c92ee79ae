# ruff: noqa: ARG005 - sends take what a real one takes
"""One person, across all that a policy keeps: `guardrails subject export` and `forget`, as somebody uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails import from_policy
from guardrails.audit import read_records, verify_directory
from guardrails.cli.app import app
from guardrails.errors import Deferred, Denied
from guardrails.policy import Policy
from guardrails.testing import RecordingSend
from tests.policy.conftest import Write
from tests.servers import Server, running, valkey_binary

TO, BOB, ANN, SHOP = "+12125550173", "+12125550174", "ann@example.com", "+12125550100"
KEY = "42" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server."""
    with running(valkey_binary(), tmp_path_factory.mktemp("s")) as started:
        yield started


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of this test."""
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GUARDRAILS_KEY", KEY)


@pytest.fixture
def policy(write: Write, server: Server) -> Path:
    """A policy that keeps everything that a policy can keep."""
    with server.client() as client:
        client.flushall()
    return write(
        f"""\
        version: 1
        platform:
          audit: {{folder: audit, durability: os, sinks: {{more: {{folder: more}}}}}}
          stores:
            vault: {{url: "sqlite:///vault.db"}}
            suppression: {{url: "sqlite:///people.db"}}
            people: {{url: "sqlite:///people.db"}}
            limits: {{url: "{server.url}"}}
          suppression: {{}}
          person_caps: {{daily: {{rate: 3/day, zone: UTC}}}}
          unique_recipients: {{reach: {{amount: 1, window: 24h}}}}
          limits:
            person: {{rate: 3/day, per: [recipient, channel]}}
            talk: {{rate: 9/day, per: recipient, scope: global}}
            all: {{rate: 100/day}}
          mask: {{names: off, operators: {{EMAIL_ADDRESS: pseudonym}}}}
        channels: {{sms: {{}}}}
        teams: {{growth: {{limits: {{own: {{rate: 3/day, per: recipient}}}}}}}}
        """
    )


def asked(*arguments: object, policy: Path, text: str = TO) -> Any:
    """What the command says."""
    ran = CliRunner().invoke(app, ["subject", *map(str, arguments), "--policy", str(policy)], input=text)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_what_is_kept_of_a_person_is_exported_and_forgotten_in_every_store(policy: Path, tmp_path: Path) -> None:
    live = Policy.at(policy)
    assert live.vault is not None
    assert live.suppression is not None
    live.suppression.create()
    live.vault.link(TO, subject="ann-17", verified=True)
    guard = from_policy(policy, team="growth", channel="sms")
    send = guard.wrap(RecordingSend())
    for _ in range(3):
        send(TO, f"write to {ANN}")
    with pytest.raises(Deferred):
        send(TO, "hi")
    with pytest.raises(Deferred):
        send(BOB, "hi")
    live.suppression.add(TO)

    found = asked("export", policy=policy, text=f"whatsapp:+1 (212) 555-0173\n{ANN}\n")
    assert found["vault"] == [{"entity": "EMAIL_ADDRESS", "value": ANN}]
    assert found["opt_outs"] == [{"address": "whatsapp:+1 (212) 555-0173", "channel": one} for one in ("sms", "other")]
    assert sorted((one["limit"], one["used"], one["amount"], one["layer"]) for one in found["limits"]) == [
        ("daily", 3, 3, "platform"), ("growth:own", 3, 3, "team"), ("person", 3, 3, "platform"), ("talk", 3, 9, "platform"),
    ]  # fmt: skip
    assert [record["stage"] for record in found["records"]].count("intent") == 3
    assert len({(record["stream"], record["seq"]) for record in found["records"]}) == len(found["records"])

    done = asked("forget", "--opt-outs", policy=policy)
    assert done["vault_rows"] > 0
    assert (done["opt_outs"], done["opt_outs_that_stay"], done["counters"], done["limits_that_stay"]) == (1, 0, 5, [])
    assert done["records_that_stay"] == len(found["records"])

    left = asked("export", "--subject", "ann-17", policy=policy)
    assert (left["vault"], left["opt_outs"], left["limits"]) == ([], [], [])
    assert live.vault.linked(TO, None) is None
    assert send(BOB, "hi") == "sent"  # the one person whom this sender has reached
    asked("forget", policy=policy, text=BOB)
    assert send(TO, "hi") == "sent"
    guard.close()
    assert verify_directory(tmp_path / "audit").exit_code == 0
    assert "5550173" not in json.dumps(list(read_records(tmp_path / "audit")))


def test_limits_that_cannot_be_told_from_here_are_named(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          stores: {people: {url: "sqlite:///people.db"}}
          limits: {mine: {rate: 1/day, per: recipient}}
          person_caps: {talk: {rate: 1/day, per: [recipient, sender], zone: UTC}}
          unique_recipients: {reach: {amount: 1, window: 24h, per: sender}}
          concurrency: {running: {amount: 1, per: conversation}}
        """
    )
    guard = from_policy(path, channel="sms")
    guard.wrap(lambda to, body, sender, conversation: "sent", sender="sender")(TO, "hello", SHOP, "c-1")
    done = asked("forget", policy=path)
    assert (done["counters"], done["limits_that_stay"]) == (
        0,
        [
            "talk: counts by recipient+sender",
            "reach: counts by recipient+sender",
            "rate_limit: counts in the memory of each process that sends",
            "running: counts in the memory of each process that sends",
        ],
    )
    guard.close()


def test_an_address_that_is_not_verified_leads_to_nobody(policy: Path) -> None:
    live = Policy.at(policy)
    assert live.vault is not None
    assert live.suppression is not None
    live.suppression.create()
    live.vault.own("bob-3", ["bob@example.com"])
    live.vault.link(TO, subject="bob-3", verified=False)
    assert asked("export", policy=policy)["vault"] == []
    assert asked("forget", policy=policy)["vault_rows"] == 0
    assert asked("forget", "--subject", "bob-3", policy=policy)["vault_rows"] > 0


def test_whoever_is_only_an_address_is_found_and_forgotten_by_it(policy: Path) -> None:
    live = Policy.at(policy)
    assert live.suppression is not None
    live.suppression.create()
    guard = from_policy(policy, channel="sms")
    guard.wrap(RecordingSend())(TO, f"write to {ANN}")
    guard.close()
    assert asked("export", policy=policy)["vault"] == [{"entity": "EMAIL_ADDRESS", "value": ANN}]
    assert asked("forget", policy=policy)["vault_rows"] > 0
    assert asked("export", policy=policy)["vault"] == []


def test_who_has_opted_out_stays_on_the_list_unless_somebody_says_so(policy: Path) -> None:
    live = Policy.at(policy)
    assert live.suppression is not None
    live.suppression.add(TO)
    guard = from_policy(policy, channel="sms")
    with pytest.raises(Denied):
        guard.wrap(RecordingSend())(TO, "hi")
    done = asked("forget", policy=policy)
    assert (done["opt_outs"], done["opt_outs_that_stay"]) == (0, 2)
    guard.close()


def test_nobody_in_particular_is_nobody(policy: Path) -> None:
    assert CliRunner().invoke(app, ["subject", "export", "--policy", str(policy)]).exit_code == 2
