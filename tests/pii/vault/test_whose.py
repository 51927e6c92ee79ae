"""Whose a value is, in disguise too, and whom a message is about: what a stranger's programs found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, MaskPII
from guardrails.errors import Blocked, ConfigError, Unavailable
from guardrails.keys import Keys
from guardrails.pii import Vault
from tests.pii.vault.conftest import KEYS, Make

ANN, BOB = "+12125550101", "+12125550102"
WORDS = {"PERSON": ["Ann Smith", "Smith", "Ann", "Jos\u00e9 M\u00fcller", "Jose Muller", "Jose Mueller", "Ann-Smith"]}


def sending(vault: Vault, **more: Any) -> Any:
    mask = MaskPII(names="off", vault=vault, own="keep", deny=WORDS, **more)
    return Guard(mask, channel="sms").wrap(lambda to, body: body if to else "")


def known() -> Vault:
    vault = Vault(keys=KEYS)
    vault.link(ANN, subject="ann", verified=True)
    vault.link(BOB, subject="bob", verified=True)
    vault.own("ann", ["Ann Smith", "Jos\u00e9 M\u00fcller", "ann@example.com", "+1 212 555 0173", "4242 4242 4242 4242"])
    return vault


@pytest.mark.parametrize(
    "disguised",
    [
        "Smith, Ann",
        "SMITH / ANN",
        "Ann-Smith",
        "mail ann+shop@example.com",
        "mail ann%40example.com",
        "mail ann&#64;example.com",
        "mail ann at example dot com",
        "mail YW5uQGV4YW1wbGUuY29t",
        "see https://shop.example.com/?u=ann@example.com",
        "call two one two five five five zero one seven three",
    ],
)
def test_what_is_somebodys_in_disguise_refuses_the_message_to_others_and_is_masked_for_them(disguised: str) -> None:
    send = sending(known())
    with pytest.raises(Blocked, match="other_subject") as raised:
        send(BOB, disguised)
    assert sum(raised.value.findings.values()) == 1
    masked = send(ANN, disguised)
    assert masked != disguised
    assert "<" in masked


@pytest.mark.parametrize(
    "spelled",
    [
        "Jose Muller",
        "Jose Mueller",
        "call 001 212 555 0173",
        "call 1-212-555-0173",
        "card \u0664\u0662\u0664\u0662 4242 4242 4242",
    ],
)
def test_another_spelling_passes_to_the_person_and_to_nobody_else(spelled: str) -> None:
    send = sending(known())
    assert send(ANN, spelled) == spelled
    with pytest.raises(Blocked, match="other_subject"):
        send(BOB, spelled)


def test_two_names_that_stand_apart_make_no_name_together() -> None:
    send = sending(known())
    assert send(BOB, "Smith is here. Ann is not") == "<PERSON> is here. <PERSON> is not"
    assert send(BOB, "Smith\n\n\n\n\n\nAnn") == "<PERSON>\n\n\n\n\n\n<PERSON>"


@pytest.fixture(scope="module")
def own_data() -> Guard:
    return Guard(MaskPII(names="off", vault=known(), own="keep", deny=WORDS), channel="sms")


@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(deadline=None, max_examples=25)
def test_g4_a_name_in_parts_is_refused_however_the_text_is_cut(own_data: Guard, cuts: list[int]) -> None:
    def pieces(text: str) -> Any:
        at = number = 0
        while at < len(text):
            yield text[at : (at := at + cuts[number % len(cuts)])]
            number += 1

    def send(to: str, body: Any) -> str:
        return "".join(body)

    with pytest.raises(Blocked, match="other_subject"):
        own_data.wrap(send, text="body", stream="cut")(BOB, pieces("Dear customer Smith, Ann: hello."))


def test_nobody_becomes_a_conversation_by_calling_themselves_one() -> None:
    vault = known()
    vault.link("conversation:c-42", subject="ann", verified=True)
    with pytest.raises(Blocked, match="other_subject"):
        sending(vault)("conversation:c-42", "ann@example.com")
    hear = Guard(
        MaskPII(names="off", vault=vault, own="keep", learn=["EMAIL_ADDRESS"]), channel="chat", direction="inbound"
    ).wrap(lambda sender, body: body if sender else "")
    hear("conversation:c-42", "I am eve@example.com")
    assert vault.owners("eve@example.com", None) == set()
    vault.link("Conversation:c-43", subject="ann")
    assert vault.linked("conversation:c-43", None) == ("subject:ann", False)


def test_a_conversation_with_one_person_that_goes_to_another_is_refused_with_the_data_of_either() -> None:
    vault = known()
    vault.own("bob", ["bob@example.com"])
    vault.link("conversation:c", subject="ann")
    guard = Guard(MaskPII(names="off", vault=vault, own="keep"), channel="sms")
    send = guard.wrap(lambda to, body, conversation: body if to and conversation else "")
    for text in ("ann@example.com", "bob@example.com"):
        with pytest.raises(Blocked, match="other_subject"):
            send(BOB, text, "c")
    assert send("+12125550199", "ann@example.com", "c") == "<EMAIL_ADDRESS>"  # nobody says that it is somebody else
    assert send(ANN, "ann@example.com", "c") == "ann@example.com"


def test_forgetting_somebody_leaves_the_number_to_whom_it_belongs_now(make: Make) -> None:
    vault = make()
    vault.link(ANN, subject="ann", verified=True)
    vault.link(ANN, subject="bob", verified=True)
    vault.link(BOB, subject="ann")
    vault.forget("ann")
    assert vault.linked(ANN, None) == ("subject:bob", True)
    assert vault.linked(BOB, None) is None


def test_what_was_registered_for_ever_is_not_learned_for_a_while(make: Make) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    vault = make(keep_seconds=100.0, clock=lambda: now)
    vault.link(ANN, subject="ann", verified=True)
    vault.own("ann", ["ann@example.com"])
    vault.own("ann", ["+1 212 555 0173"], expires=now + timedelta(seconds=50))
    mask = MaskPII(names="off", vault=vault, own="keep", learn=["EMAIL_ADDRESS", "PHONE_NUMBER"])
    hear = Guard(mask, channel="sms", direction="inbound").wrap(lambda sender, body: body if sender else "")
    hear(ANN, "I am ann@example.com or ann2@example.com, call (212) 555-0173")
    now += timedelta(seconds=60)
    assert vault.owners("+1 212 555 0173", None)
    now += timedelta(seconds=60)
    assert vault.owners("ann@example.com", None)
    assert not vault.owners("ann2@example.com", None)
    assert not vault.owners("+1 212 555 0173", None)
    vault.own("ann", ["ann@example.com"], expires=now)  # said by hand, it ends it
    assert not vault.owners("ann@example.com", None)


def test_g11_what_people_say_about_themselves_is_bounded(make: Make) -> None:
    vault = make(most_values=5)
    vault.link(ANN, subject="ann", verified=True)
    mask = MaskPII(names="off", vault=vault, learn=["EMAIL_ADDRESS"])
    hear = Guard(mask, channel="sms", direction="inbound").wrap(lambda sender, body: body if sender else "")
    hear(ANN, " ".join(f"a{number}@example.com" for number in range(5)))
    hear(ANN, "a0@example.com a4@example.com")
    with pytest.raises(Unavailable, match="the vault holds 5 values"):
        hear(ANN, "a5@example.com")
    with pytest.raises(Unavailable, match="the vault holds 5 values"):
        vault.own("ann", ["a6@example.com"])
    assert vault.session("ann").token("PERSON", "Ann")  # values behind tokens are counted by themselves
    assert vault.forget("ann") > 0
    vault.own("ann", ["a6@example.com"])


def test_wrong_arguments_say_what_to_write() -> None:
    vault = Vault(keys=Keys(b"v" * 32))
    vault.own("ann", (one for one in ["ann@example.com"]))  # type: ignore[arg-type]  # any iterable will do
    assert vault.owners("ann@example.com", None)
    any_: Any = vault
    for wrong in (
        lambda: any_.own("ann", ["x"], expires=datetime(2030, 1, 1)),  # noqa: DTZ001 - wrong on purpose
        lambda: any_.own("ann", ["x"], expires=5),
        lambda: any_.link(ANN, subject="ann", expires=5),
        lambda: any_.own("ann", None),
        lambda: any_.own("ann", []),
        lambda: any_.restore(None, subject="ann"),
        lambda: any_.link("conversation:", subject="ann"),
        lambda: any_.link("  ", subject="ann"),
        lambda: Vault(keep_seconds="5"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Vault("redis://cache.example.com/0", keys=KEYS, plaintext_hosts="cache.example.com"),
    ):
        with pytest.raises(ConfigError):
            wrong()
