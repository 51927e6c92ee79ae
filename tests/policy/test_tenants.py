# ruff: noqa: ARG005 - sends take what a real one takes
"""A tenant that somebody wrote, and misspelt, would lose what the policy tightens for it; other tenants need no entry."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardrails import Message, from_policy
from guardrails.cli.app import app
from guardrails.errors import ConfigError, Denied
from guardrails.policy.tenants import meant_tenant
from tests.policy.conftest import Write, problems

POLICY = """\
    version: 1
    platform:
      mask: {names: off, operators: {EMAIL_ADDRESS: replace}}
    tenants:
      acme: {mask: {operators: {EMAIL_ADDRESS: block}}}
      t-1001: {mask: {deny: [zebra]}}
    examples:
      - {in: "mail ann@example.com", tenant: acme, denied_by: mask_pii}
    """


@pytest.fixture
def policy(write: Write) -> Path:
    return write(POLICY)


@pytest.mark.parametrize("tenant", ["acmee", "acm\u00e9", "amce", "acne", "acm", "Acme", "ac-me", "T-1001", "t_1001"])
def test_g10_a_guard_for_a_misspelt_tenant_is_refused(policy: Path, tenant: str) -> None:
    with pytest.raises(
        ConfigError, match=r"tenant '.*' is not in the policy .*; did you mean '.*'\?.*: \{\}` under tenants"
    ):
        from_policy(policy, tenant=tenant)


@pytest.mark.parametrize("tenant", ["acme2", "t-1002", "t-10011", "globex", "acme-uk", "me", "5f3a", "acme:sub"])
def test_tenants_that_are_in_no_policy_get_the_platforms_layer(policy: Path, tenant: str) -> None:
    sent: list[str] = []
    guard = from_policy(policy, tenant=tenant)

    guard.run(Message("mail ann@example.com", channel="sms", tenant=tenant), lambda message: sent.append(message.text))

    assert sent == ["mail <EMAIL_ADDRESS>"]


def test_g10_a_guard_for_a_declared_tenant_has_its_layer(policy: Path) -> None:
    guard = from_policy(policy, tenant="acme")
    with pytest.raises(Denied):
        guard.run(Message("mail ann@example.com", channel="sms", tenant="acme"), lambda message: None)


def test_an_entry_of_its_own_says_that_it_is_another_tenant(policy: Path, write: Write) -> None:
    write(POLICY.replace("tenants:", "tenants:\n      acmee: {}"))

    assert from_policy(policy, tenant="acmee") is not None


def test_an_example_of_a_misspelt_tenant_is_a_problem() -> None:
    text = POLICY.replace("tenant: acme,", "tenant: acmee,")

    assert any("there is no such tenant; did you mean 'acme'?" in one for one in problems(text))


def test_explain_refuses_a_misspelt_tenant(policy: Path) -> None:
    told = CliRunner().invoke(app, ["policy", "explain", str(policy), "--tenant", "acmee"])

    assert (told.exit_code, "did you mean 'acme'?" in told.output) == (2, True)


def test_the_nearest_is_the_one_that_differs_least() -> None:
    assert meant_tenant("acme", ["Acme", "acmes"]) == "Acme"
    assert meant_tenant("acme", ["acmes", "AC.ME"]) == "AC.ME"
    assert meant_tenant("acme", []) is None


@pytest.fixture
def switched(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    public = CliRunner().invoke(app, ["keys", "new", "operator", "--out", "ann.pem"]).output.split()[0]
    switches = f'  switches: {{file: switches.jsonl, operators: {{ann: "{public}"}}}}'
    return write(POLICY.replace("platform:\n", f"platform:\n    {switches}\n"))


@pytest.mark.parametrize(
    ("scope", "code", "said"),
    [
        ("channel=smss", 2, "did you mean 'sms'?"),
        ("channel=whatsap", 2, "did you mean 'whatsapp'?"),
        ("channel=SMS", 2, "did you mean 'sms'?"),
        ("tenant=acmee", 2, "did you mean 'acme'?"),
        ("channel=mms", 0, ""),
        ("channel=sms", 0, ""),
        ("tenant=acme", 0, ""),
        ("tenant=t-1002", 0, "does not name the tenant 't-1002': the switch holds for messages that do"),
        ("channel=carrier-pigeon", 0, "does not name the channel 'carrier-pigeon': the switch holds for messages that do"),
        ("everything", 0, ""),
    ],
)
def test_a_block_of_a_misspelt_scope_is_refused_for_it_would_stop_nothing(
    switched: Path, tmp_path: Path, scope: str, code: int, said: str
) -> None:
    given = ["switch", "block-all", "--scope", scope, "--reason", "x", "--key", "ann.pem", "--as", "ann"]

    told = CliRunner().invoke(app, [*given, "--policy", str(switched)])

    assert (told.exit_code, said in told.output) == (code, True), told.output
    assert (tmp_path / "switches.jsonl").exists() is (code == 0)
    if not said:
        assert "guardrails:" not in told.output
