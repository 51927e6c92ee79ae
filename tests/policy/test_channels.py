# ruff: noqa: ARG005 - sends take what a real one takes
"""A channel that is misspelt would lose what the policy tightens on it: it is refused wherever one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardrails import Message, from_policy
from guardrails.cli.app import app
from guardrails.errors import ConfigError, Denied
from guardrails.policy import Policy
from guardrails.policy.channels import meant
from tests.policy.conftest import Write, problems

POLICY = """\
    version: 1
    platform:
      mask: {names: off, operators: {EMAIL_ADDRESS: replace}}
    channels:
      sms: {mask: {operators: {EMAIL_ADDRESS: block}}}
      newsletter: {mask: {deny: [zebra]}}
    examples:
      - {in: "mail ann@example.com", channel: sms, denied_by: mask_pii}
    """


@pytest.fixture
def policy(write: Write) -> Path:
    return write(POLICY)


def test_g10_a_guard_on_a_misspelt_channel_is_refused(policy: Path) -> None:
    with pytest.raises(ConfigError, match=r"channel 'smss' is not in the policy .*; did you mean 'sms'\?.*`smss: \{\}`"):
        from_policy(policy, channel="smss")


def test_g10_a_decoration_on_a_misspelt_channel_is_refused(policy: Path) -> None:
    guard = from_policy(policy)
    for one in (guard, guard.extend()):
        with pytest.raises(ConfigError, match="did you mean 'newsletter'"):
            one.wrap(lambda to, body: None, channel="newsleter")


def test_g10_a_message_on_a_misspelt_channel_is_not_sent(policy: Path) -> None:
    sent: list[Message] = []
    guard = from_policy(policy)
    for channel in ("SMS", "sms ", "Newsletter"):
        with pytest.raises(Denied, match="channel is not in the policy"):
            guard.run(Message("hello", channel=channel), sent.append)
    assert sent == []
    assert guard.preview("hello", channel="SMS").refusal is not None


def test_a_change_of_the_policy_that_would_lose_a_channel_is_refused(policy: Path) -> None:
    guard = from_policy(policy)
    safe = guard.wrap(lambda to, body: body, channel="newsletter")
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("newsletter:", "newsleter:"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"channel 'newsletter' .* did you mean 'newsleter'"):
        guard.reload()
    assert safe("+12125550173", "a zebra") == "a <DENIED>"
    policy.write_text(text, encoding="utf-8")
    assert not guard.reload()


def test_a_channel_of_another_name_and_one_that_is_said_to_be_another_are_taken(write: Write) -> None:
    guard = from_policy(write(POLICY.replace("sms: {", "smss: {}\n      sms: {")), channel="smss")
    assert guard.run(Message("hello", channel="smss"), lambda message: message.text) == "hello"
    guard = from_policy(write(POLICY, "another.yaml"))
    for channel in ("email", "push", "mms", "sms-uk", "other"):
        assert guard.wrap(lambda to, body: body, channel=channel)("+12125550173", "hello") == "hello"


@pytest.mark.parametrize(
    ("said", "known", "near"),
    [
        ("smz", ["sms"], "sms"),
        ("e-mail", ["email"], "email"),
        ("WhatsApp", ["whatsapp"], "whatsapp"),
        ("whatsapp", ["whatsap"], "whatsap"),
        ("voice", ["Voice"], "Voice"),
        ("sms_us", ["sms_uk"], "sms_uk"),
        ("sms", ["sms"], None),
        ("mms", ["sms"], None),
        ("sms.eu", ["sms"], None),
        ("sms", ["sms-otp"], None),
        ("other", ["order"], None),
        ("push", ["sms", "email"], None),
        ("sms", [], None),
    ],
)
def test_what_is_a_slip_and_what_is_another_channel(said: str, known: list[str], near: str | None) -> None:
    assert meant(said, known) == near


def test_a_policy_that_misspells_its_own_channels_is_refused() -> None:
    told = problems(
        """\
        version: 1
        platform: {mask: {names: off}, defaults: {channel: emial}}
        channels: {sms: {mask: {deny: [zebra]}}, email: {}}
        examples: [{in: zebra, channel: smss, out: zebra}]
        """
    )
    assert [line.partition(" ")[0] for line in told] == ["p.yaml:2:43:", "p.yaml:4:24:"]
    assert "did you mean 'email'?" in told[0]
    assert "did you mean 'sms'?" in told[1]


def test_explain_says_that_a_channel_is_misspelt(policy: Path) -> None:
    told = CliRunner().invoke(app, ["policy", "explain", str(policy), "--channel", "smss"])
    assert told.exit_code == 2
    assert "did you mean 'sms'?" in told.output


def test_the_policy_of_a_process_is_not_changed_by_a_refused_guard(policy: Path) -> None:
    with pytest.raises(ConfigError):
        from_policy(policy, channel="smss")
    assert Policy.at(policy).refused == 0
    assert not Policy.at(policy).reload()
