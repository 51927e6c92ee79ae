"""`reply="restore"`: what was masked comes back exactly, to its own subject only, and one's own data passes to oneself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guardrails
from guardrails import Guard
from guardrails.errors import Blocked, ConfigError, ControlError, Unavailable
from guardrails.keys import Keys
from guardrails.pii import MaskPII, Vault

ANN, BOB = "+12125550173", "+12125550174"
KEYS = Keys(b"v" * 32)
vault = Vault(keys=KEYS, most_values=1_000_000)
mask = MaskPII(vault=vault, names="off", operators={"DEFAULT": "pseudonym"})
guard = Guard(mask, channel="llm")
WORDS = st.sampled_from(
    ["ann@example.com", "+1 212 555 0173", "https://example.com/a", "4242 4242 4242 4242", "219-09-9999", "TOKEN", "IDEMAIL",
     "IDPERSON-bcdf-ghjk-lmnp-qrst", "idx bcdfghjklmnpqrst",
     "<EMAIL_ADDRESS>", "-bcdf", "\\", '"', "www.", "Hi. Bye", "\n\n", " ", " ", "é", "x", "I", "//"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(WORDS, max_size=10).map("".join), st.text(max_size=60))
TOKEN = vault.session("c").token("EMAIL_ADDRESS", "bob@example.com")


def in_conversation(text: str) -> str:
    return text.replace("TOKEN", TOKEN)


@pytest.fixture(autouse=True, scope="module")
def linked() -> None:
    vault.link("conversation:c", subject="c")


@given(text=TEXTS)
@settings(deadline=None)
def test_g5_what_was_masked_comes_back_exactly(text: str) -> None:
    text = in_conversation(text)
    seen: list[str] = []

    def ask(prompt: str, conversation: str) -> str:
        seen.append(prompt)
        return prompt

    assert guard.wrap(ask, reply="restore")(text, "c") == text
    assert not any(finding.type == "EMAIL_ADDRESS" for finding in mask.find(seen[0]))


@given(
    nested=st.recursive(
        TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("text"), inner), max_leaves=5
    )
)
@settings(deadline=None, max_examples=50)
def test_g5_nested_values_come_back_exactly(nested: Any) -> None:
    def ask(prompt: Any, conversation: str) -> Any:
        return prompt

    if nested in ([], {}):
        return
    payload = {"content": nested}
    assert guard.wrap(ask, text="prompt", reply="restore")(payload, "c") == payload


@given(text=TEXTS, cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(deadline=None)
def test_g4_g5_a_restored_stream_is_the_restored_text_however_it_is_cut(text: str, cuts: list[int]) -> None:
    text = in_conversation(text)

    def ask(prompt: str, conversation: str) -> Iterator[str]:
        at = 0
        for number in range(len(prompt)):
            size = cuts[number % len(cuts)]
            if at < len(prompt):
                yield prompt[at : at + size]
            at += size

    assert "".join(guard.wrap(ask, reply="restore")(text, "c")) == text


def test_g5_async_streams_are_restored_too() -> None:
    async def ask(prompt: str, conversation: str) -> AsyncIterator[str]:
        for one in prompt:
            yield one

    async def joined() -> str:
        return "".join([chunk async for chunk in guard.wrap(ask, reply="restore")("Mail ann@example.com", "c")])

    with asyncio.Runner() as runner:
        assert runner.run(joined()) == "Mail ann@example.com"


def test_g5_tokens_of_another_subject_or_tenant_stay_tokens() -> None:
    def ask(prompt: str, conversation: str, tenant: str) -> str:
        return f"{prompt} {TOKEN}"

    assert guard.wrap(ask, reply="restore")("Hi", "other", "acme") == f"Hi {TOKEN}"


def test_a_reply_restores_into_no_link_and_no_tool_unless_granted() -> None:
    def ask(prompt: str, conversation: str) -> dict[str, Any]:
        return {
            "text": f"{prompt} https://example.net/?q={prompt}",
            "tool_calls": [{"function": {"arguments": prompt}}],
        }

    given_back = guard.wrap(ask, reply="restore")("ann@example.com", "c")
    assert given_back["text"].startswith("ann@example.com https://example.net/?q=IDEMAIL-")
    assert "ann@" not in given_back["tool_calls"][0]["function"]["arguments"]
    granted = Guard(
        MaskPII(vault=vault, operators={"DEFAULT": "pseudonym"}, restore_into=["links", "tools"]), channel="llm"
    )
    assert granted.wrap(ask, reply="restore")("ann@example.com", "c")["tool_calls"][0]["function"]["arguments"] == (
        "ann@example.com"
    )


def test_what_a_team_sees_of_the_reply_is_masked() -> None:
    seen: list[object] = []

    class Looks:
        async def guard(self, call: Any, forward: Any, _io: Any, /) -> object:
            seen.append(reply := await forward(call))
            return reply

    def ask(prompt: str, conversation: str) -> str:
        return f"{prompt} or bob@example.com"

    assert guard.extend(Looks()).wrap(ask, reply="restore")("ann@example.com", "c") == "ann@example.com or bob@example.com"
    assert "@" not in str(seen)


def test_g2_without_recipient_and_conversation_a_finding_is_refused() -> None:
    with pytest.raises(Blocked, match="needs a recipient or a conversation"):
        guard.wrap(lambda prompt: prompt, reply="restore")("ann@example.com")
    assert guard.wrap(lambda prompt: prompt, reply="restore")("nothing here") == "nothing here"


def test_g10_a_store_that_fails_sends_nothing(tmp_path: Any) -> None:
    sent: list[str] = []
    file = Vault(f"sqlite:///{tmp_path / 'vault.db'}", keys=KEYS)
    file.open()
    file.close()
    (tmp_path / "vault.db").write_bytes(b"not a database" * 1_000)
    with pytest.raises(Unavailable) as raised:
        Guard(MaskPII(vault=file, operators={"DEFAULT": "pseudonym"}), channel="sms").wrap(
            lambda to, body: sent.append(to and body)
        )(ANN, "ann@example.com")
    assert (sent, raised.value.sent) == ([], False)


def test_a_preview_writes_nothing() -> None:
    fresh = Vault(keys=KEYS)
    decision = Guard(MaskPII(vault=fresh, operators={"DEFAULT": "pseudonym"}), channel="sms").preview(
        "ann@example.com", recipient=ANN
    )
    assert decision.text is not None
    assert "@" not in decision.text
    assert fresh.destroy(None) == 0


def test_own_data_passes_to_its_owner_and_is_refused_to_others() -> None:
    own = Vault(keys=KEYS)
    own.own("ann", ["ann@example.com"])
    own.link(f"whatsapp:{ANN}", subject="ann", verified=True)
    own.link(BOB, subject="bob", verified=True)
    sent: list[str] = []
    send = Guard(MaskPII(vault=own, own="keep"), channel="sms").wrap(lambda to, body: sent.append(to and body))
    send(ANN, "Your address is Ann@Example.com, not x@example.com")
    assert sent == ["Your address is Ann@Example.com, not <EMAIL_ADDRESS>"]
    for stranger in (BOB, "+12125550175"):
        with pytest.raises(Blocked, match="other_subject") as raised:
            send(stranger, "Your address is ann@example.com")
        assert raised.value.findings == {"EMAIL_ADDRESS": 1}
    assert len(sent) == 1
    own.link(ANN, subject="ann", verified=False)
    send(ANN, "ann@example.com")
    assert sent[1] == "<EMAIL_ADDRESS>"
    own.link(ANN, subject="ann", verified=True, expires=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(Blocked):
        send(ANN, "ann@example.com")


def test_a_linked_person_has_one_set_of_tokens_on_every_channel() -> None:
    linked = Vault(keys=KEYS)
    linked.link(f"whatsapp:{ANN}", subject="ann")
    linked.link("ann@example.com", subject="ann")
    linked.link("conversation:42", subject="ann")
    seen: list[str] = []

    def say(prompt: str) -> None:
        seen.append(prompt)

    both = Guard(MaskPII(vault=linked, operators={"DEFAULT": "pseudonym"}), channel="llm")
    both.wrap(lambda to, body: seen.append(to and body))("+1 (212) 555-0173", "bob@example.com")
    both.wrap(lambda email, body: seen.append(email and body))("ann@example.com", "bob@example.com")
    with guardrails.context(conversation="42"):
        both.wrap(say)("bob@example.com")
    assert len(set(seen)) == 1


def octets(prompt: str, conversation: str) -> Iterator[bytes]:
    return iter([conversation.encode()])


def test_restore_needs_a_vault_and_strings() -> None:
    with pytest.raises(ConfigError, match="needs a mask control with a vault"):
        Guard(MaskPII(), channel="llm").wrap(lambda prompt: prompt, reply="restore")
    wrong: Any
    for wrong in ({"operators": {"URL": "pseudonym"}}, {"own": "keep"}, {"own": "x", "vault": vault}, {"vault": 5}):
        with pytest.raises(ConfigError):
            MaskPII(**wrong)
    with pytest.raises(ControlError, match="stream of str"):
        list(guard.wrap(octets, reply="restore")("hi", "c"))


def test_what_people_write_about_themselves_is_learned_where_their_address_is_verified() -> None:
    own = Vault(keys=KEYS)
    own.link(ANN, subject="ann", verified=True)
    own.link(BOB, subject="bob", verified=True)
    own.own("bob", ["bob@example.com"])
    learning = MaskPII(vault=own, names="off", own="keep", learn=["EMAIL_ADDRESS"])
    seen: list[str] = []

    def handle(sender: str, body: str) -> None:
        seen.append(body)

    hear = Guard(learning, channel="sms", direction="inbound").wrap(handle)
    hear(ANN, f"I am ann@example.com, call {ANN}; bob@example.com says hi")
    hear("+12125550199", "I am eve@example.com")
    assert seen == ["I am <EMAIL_ADDRESS>, call <PHONE_NUMBER>; <EMAIL_ADDRESS> says hi", "I am <EMAIL_ADDRESS>"]
    sent: list[str] = []
    send = Guard(learning, channel="sms").wrap(lambda to, body: sent.append(to and body))
    send(ANN, f"Is ann@example.com right? Not eve@example.com, {ANN}")
    assert sent == ["Is ann@example.com right? Not <EMAIL_ADDRESS>, <PHONE_NUMBER>"]
    for to, text in ((BOB, "ann@example.com"), (ANN, "bob@example.com")):
        with pytest.raises(Blocked, match="other_subject"):
            send(to, text)


def test_a_preview_learns_nothing() -> None:
    own = Vault(keys=KEYS)
    own.link(ANN, subject="ann", verified=True)
    learning = MaskPII(vault=own, names="off", learn=["EMAIL_ADDRESS"])
    Guard(learning, channel="sms", direction="inbound").preview("I am ann@example.com", sender=ANN)
    assert own.owners("ann@example.com", None) == set()
    wrongs: list[dict[str, Any]] = [
        {"learn": ["EMAIL_ADDRESS"]},
        {"vault": own, "learn": ["MAIL"]},
        {"vault": own, "learn": "URL"},
    ]
    for wrong in wrongs:
        with pytest.raises(ConfigError):
            MaskPII(names="off", **wrong)


@pytest.mark.parametrize(
    ("owned", "written"),
    [
        ("+1 212 555 0173", "(212) 555-0173"),
        ("+1 212 555 0173", "2125550173"),
        ("(212) 555-0173", "+1 212 555 0173"),
        ("+44 20 7946 0102", "020 7946 0102"),
        ("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
        ("4242424242424242", "4242-4242-4242-4242"),
        ("Ann@Example.com", "ann@example.com"),
    ],
)
def test_a_value_is_somebodys_in_every_spelling(owned: str, written: str) -> None:
    vault = Vault(keys=Keys(b"v" * 32))
    for subject, address in (("ann", "sms:+12125550101"), ("bob", "sms:+12125550102")):
        vault.link(address, subject=subject, verified=True)
    vault.own("ann", [owned])
    send = Guard(MaskPII(names="off", vault=vault, own="keep"), channel="sms")(lambda to, body: f"{body}" if to else "")
    assert send(to="+12125550101", body=f"it is {written}") == f"it is {written}"
    with pytest.raises(Blocked, match="other_subject"):
        send(to="+12125550102", body=f"it is {written}")
    assert vault.forget("ann") > 0
    assert vault.owners(written, None) == set()


def test_a_number_of_another_country_is_not_the_same() -> None:
    vault = Vault(keys=Keys(b"v" * 32))
    vault.own("ann", ["+1 212 555 0173"])
    assert vault.owners("+49 212 5550173", None) == set()
    assert vault.owners("+1 212 555 0174", None) == set()
