"""Defects of others in bringing masked values back, each named after it, held against us (numbers are their issues)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from presidio_anonymizer.entities import OperatorConfig

from guardrails import Guard
from guardrails.errors import Blocked, GuardrailsError
from guardrails.keys import Keys
from guardrails.pii import Hash, MaskPII, Pseudonym, Synthetic, Vault
from guardrails.pii.vault.tokens import token_of

ANN, BOB, EMAIL = "+12125550173", "+12125550174", "ann@example.com"
KEYS = Keys(b"p" * 32)


@pytest.fixture
def vault() -> Vault:
    return Vault(keys=KEYS)


@pytest.fixture
def guard(vault: Vault) -> Guard:
    return Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="llm")


def echo(prompt: str, conversation: str) -> str:
    return prompt


def test_litellm_gave_one_value_several_tokens(guard: Guard) -> None:  # litellm#31959, presidio#1102
    seen: list[str] = []

    def ask(prompt: str, conversation: str) -> str:
        seen.append(prompt)
        return prompt

    safe = guard.wrap(ask, reply="restore")
    safe(f"{EMAIL} and {EMAIL}", "c")
    safe(EMAIL, "c")
    first, second = seen[0].split(" and ")
    assert first == second == seen[1]


def test_litellm_restored_a_value_into_another_value(vault: Vault, guard: Guard) -> None:
    """It replaces token by token: what one value says that looks like another token is replaced once more."""
    inner = vault.session("ann").token("EMAIL_ADDRESS", EMAIL)
    outer = vault.session("ann").token("PERSON", f"{inner} Smith")
    assert vault.restore(f"Hi {outer}", subject="ann") == f"Hi {inner} Smith"
    text = f"{EMAIL} [EMAIL_1] <EMAIL_ADDRESS> <PERSON_1>"
    assert guard.wrap(echo, reply="restore")(text, "c") == text


def test_litellm_restored_a_cut_token_by_its_ending(vault: Vault) -> None:
    token = vault.session("ann").token("EMAIL_ADDRESS", EMAIL)
    for cut in (token[:-1], token[8:], token[: len(token) // 2], f"{token[:-4]}xxxx"):
        assert vault.restore(cut, subject="ann") == cut


def test_litellm_shared_tokens_between_requests(guard: Guard) -> None:  # litellm PR#19950, PR#30003
    given: dict[str, str] = {}
    barrier = threading.Barrier(8)

    def ask(prompt: str, conversation: str) -> str:
        barrier.wait()
        return prompt

    safe = guard.wrap(ask, reply="restore")

    def one(number: int) -> None:
        given[str(number)] = safe(f"I am ann{number}@example.com", f"c{number}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == {str(number): f"I am ann{number}@example.com" for number in range(8)}


def test_litellm_restored_nothing_in_streams_and_structures(guard: Guard) -> None:  # litellm#14516, #8359, #6247
    def stream(prompt: str, conversation: str) -> Iterator[str]:
        yield from prompt

    def structure(prompt: str, conversation: str) -> dict[str, Any]:
        return {"choices": [{"message": {"content": [{"type": "text", "text": prompt}]}}]}

    assert "".join(guard.wrap(stream, reply="restore")(f"I am {EMAIL}.", "c")) == f"I am {EMAIL}."
    answer = guard.wrap(structure, reply="restore")(f"I am {EMAIL}", "c")
    assert answer["choices"][0]["message"]["content"][0]["text"] == f"I am {EMAIL}"


def test_litellm_masked_what_it_had_just_restored(guard: Guard) -> None:  # litellm PR#28197
    def ask(prompt: str, conversation: str) -> str:
        return f"{prompt} or bob@example.com"

    assert guard.wrap(ask, reply="restore")(EMAIL, "c") == f"{EMAIL} or bob@example.com"
    assert guard.wrap(ask, reply="mask")(EMAIL, "c").endswith(" or <EMAIL_ADDRESS>") is False


def test_llm_guard_read_tokens_as_regular_expressions(vault: Vault) -> None:  # Deanonymize, "case_insensitive"
    token = vault.session("ann").token("PERSON", "John")
    text = "Hello [REDACTED_PERSON_1], order 1 shipped to (.*) IDPERSON"
    assert vault.restore(f"{text} {token.upper()} {token.lower()}", subject="ann") == f"{text} John John"


def test_llm_guard_kept_no_session_with_invented_values() -> None:
    mask = MaskPII(names="off", operators={"DEFAULT": Synthetic(KEYS)})
    assert mask.mask(EMAIL)[0] == mask.mask(EMAIL)[0] != EMAIL


def test_llm_guard_lost_its_vault_between_threads(vault: Vault) -> None:  # llm-guard#131
    tokens: list[str] = []
    barrier = threading.Barrier(6)

    def issue() -> None:
        barrier.wait()
        tokens.append(vault.session("ann").token("PERSON", "Ann"))

    threads = [threading.Thread(target=issue) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(tokens)) == 1


def test_presidio_did_not_bring_back_what_it_encrypted(guard: Guard) -> None:  # presidio#1151, #1246
    for text in (f"{EMAIL} {ANN}", f"{EMAIL}\n\n{EMAIL}", f" {EMAIL}\u200b", f"a\x00{EMAIL}\ud83d"):
        assert guard.wrap(echo, reply="restore")(text, "c") == text


def test_presidio_hashed_equal_values_to_different_digests() -> None:  # presidio#1845, PR#2288
    mask = MaskPII(names="off", operators={"EMAIL_ADDRESS": Hash(KEYS)})
    assert mask.mask(EMAIL)[0] == mask.mask("Ann@Example.com")[0]
    theirs = MaskPII(names="off", operators={"EMAIL_ADDRESS": OperatorConfig("hash", {"salt": "0123456789abcdef"})})
    assert theirs.mask(EMAIL)[0] == theirs.mask(EMAIL)[0]


def test_others_resolve_tokens_that_a_model_invented(vault: Vault) -> None:  # piighost calls them invented
    vault.session("ann").token("PERSON", "Ann")
    for invented in (token_of("PERSON", "b" * 16), "IDPERSON-1", "<PERSON>", "[PERSON_1]"):
        assert vault.restore(invented, subject="ann") == invented


def test_others_share_a_vault_when_nobody_says_whose_it_is(guard: Guard) -> None:  # piighost: MissingThreadIdError
    with pytest.raises(Blocked, match="needs a recipient or a conversation"):
        guard.wrap(lambda prompt: prompt, reply="restore")(EMAIL)
    with pytest.raises(GuardrailsError):
        Pseudonym(Vault())


def test_langchain_stopped_the_loop_while_it_masked(tmp_path: Any) -> None:
    """A vault on a disk is asked in a worker thread on async sends."""
    on_disk = Vault(f"sqlite:///{tmp_path / 'vault.db'}", keys=KEYS)
    where: list[str] = []

    class Watched:
        def apply(self, entity: str, value: str, /) -> str:
            where.append(threading.current_thread().name)
            return f"{entity} of {len(value)} letters"

    mask = MaskPII(names="off", vault=on_disk)
    mask._operators["EMAIL_ADDRESS"] = Watched()

    async def ask(prompt: str, conversation: str) -> str:
        return prompt

    with asyncio.Runner() as runner:
        runner.run(Guard(mask, channel="sms").wrap(ask)(EMAIL, "c"))
    assert where
    assert all(name != threading.main_thread().name for name in where)


def test_portkey_and_others_wrote_the_value_into_their_record(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:  # litellm#12152, Portkey's textExcerpt
    caplog.set_level(logging.DEBUG)
    decision = guard.preview(f"I am {EMAIL}", conversation="c")
    guard.wrap(echo, reply="restore")(EMAIL, "c")
    assert EMAIL not in f"{decision!r} {decision.verdicts!r} {caplog.text}"
