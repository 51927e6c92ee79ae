"""Defects of other maskers, each named after it, held against us. What they are and where they were seen stands beside each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from guardrails import Guard
from guardrails.errors import ConfigError, ControlError, GuardrailsError
from guardrails.keys import Keys
from guardrails.pii import Hash, MaskPII

EMAIL = "ann@example.com"


# -- DataFog 4.9: its decorator masks only a sync function's returned str -----------------------------------------------------


def test_datafog_left_the_arguments_of_a_function_raw(mask_pii: MaskPII) -> None:
    sent: list[str] = []

    @Guard(mask_pii, channel="sms")
    def send(to: str, body: str) -> None:
        sent.append(body)

    send("+12125550199", body=f"write to {EMAIL}")
    assert sent == ["write to <EMAIL_ADDRESS>"]


def test_datafog_let_an_async_function_through_unfiltered(mask_pii: MaskPII) -> None:
    @Guard(mask_pii, channel="llm")
    async def ask(prompt: str) -> str:
        assert EMAIL not in prompt
        return EMAIL

    assert anyio.run(ask, f"I am {EMAIL}") == "<EMAIL_ADDRESS>"


def test_datafog_let_a_returned_dict_through_unfiltered(mask_pii: MaskPII) -> None:
    @Guard(mask_pii, channel="llm")(reply="mask")
    def ask(prompt: str) -> dict[str, Any]:
        return {"text": prompt, "inner": [{"note": EMAIL}]}

    assert EMAIL not in repr(ask(f"I am {EMAIL}"))


def test_datafog_let_generators_through_unfiltered(mask_pii: MaskPII) -> None:
    guard = Guard(mask_pii, channel="llm")

    @guard
    def ask(prompt: str) -> Iterator[str]:
        yield from (prompt, " ann@exa", "mple.com")

    @guard
    async def aask(prompt: str) -> AsyncIterator[str]:
        for chunk in (prompt, " ann@exa", "mple.com"):
            yield chunk

    async def joined() -> str:
        return "".join([chunk async for chunk in aask("hi")])

    assert "".join(ask("hi")) == anyio.run(joined) == "hi <EMAIL_ADDRESS>"


# -- LangChain's PIIMiddleware ------------------------------------------------------------------------------------------------


def test_langchain_kept_the_local_part_of_a_partly_masked_address() -> None:
    masked, _ = MaskPII(operators={"EMAIL_ADDRESS": "partial"}).mask("john.doe@example.com")
    assert "john" not in masked
    assert "doe" not in masked


def test_langchain_hashed_without_a_key_so_that_a_dictionary_reverses_it() -> None:
    one, other = (MaskPII(operators={"EMAIL_ADDRESS": Hash(Keys.ephemeral())}).mask(EMAIL)[0] for _ in range(2))
    assert one != other
    assert len(one.rpartition(":")[2].rstrip(">")) >= 22  # 128 bits


@pytest.mark.parametrize("address", ["ann\uff20example.com", "an\u200bn@example.com", "ann@exam\u200bple.com"])
def test_langchain_missed_wide_and_zero_width_characters(mask_pii: MaskPII, address: str) -> None:
    assert mask_pii.mask(f"to {address} now")[0] == "to <EMAIL_ADDRESS> now"


def test_langchain_missed_cards_of_fifteen_digits(mask_pii: MaskPII) -> None:
    assert mask_pii.mask("378282246310005")[0] == "<CREDIT_CARD>"


def test_langchain_had_no_phone_numbers(mask_pii: MaskPII) -> None:
    assert mask_pii.mask("+1 212 555 0173")[0] == "<PHONE_NUMBER>"


def test_langchain_masked_the_last_message_only(mask_pii: MaskPII) -> None:  # langchain#40704
    seen: list[list[dict[str, str]]] = []

    @Guard(mask_pii, channel="llm")(text="messages[*].content")
    def ask(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "ok"

    ask([{"role": "user", "content": EMAIL}, {"role": "assistant", "content": EMAIL}, {"role": "user", "content": EMAIL}])
    assert [message["content"] for message in seen[0]] == ["<EMAIL_ADDRESS>"] * 3


def test_langchain_left_the_arguments_of_tool_calls(mask_pii: MaskPII) -> None:  # langchain#37659
    seen: list[dict[str, Any]] = []

    @Guard(mask_pii, channel="llm")(text="args")
    def tool(args: dict[str, Any]) -> None:
        seen.append(args)

    tool({"query": {"who": [EMAIL], "n": 3}})
    assert seen == [{"query": {"who": ["<EMAIL_ADDRESS>"], "n": 3}}]


# -- llm-guard, LiteLLM, NeMo, openai-guardrails, guardrails-ai, Portkey ------------------------------------------------------


def test_llm_guard_changed_the_callers_list() -> None:
    entities, allow = ["URL"], ["example.com"]
    MaskPII(entities=entities, allow=allow).mask("see example.com")
    assert (entities, allow) == (["URL"], ["example.com"])


def test_llm_guard_read_placeholders_as_regular_expressions(mask_pii: MaskPII) -> None:
    text = "Hello <PHONE_NUMBER>, order [1] (.*) shipped"
    assert mask_pii.mask(text) == (text, [])


def test_litellm_sent_the_raw_stream_when_masking_failed() -> None:  # litellm#30728
    class Failing:
        def apply(self, entity: str, value: str, /) -> str:
            raise ValueError(f"{entity} {value}")

    control = MaskPII()
    control._operators["EMAIL_ADDRESS"] = Failing()

    @Guard(control, channel="llm")
    def ask(prompt: str) -> Iterator[str]:
        yield from (prompt, f" {EMAIL} ", "and more")

    shown: list[str] = []
    with pytest.raises(GuardrailsError):
        shown.extend(ask("hi"))
    assert EMAIL not in "".join(shown)


def test_litellm_passed_streams_of_unknown_shape_unmasked(mask_pii: MaskPII) -> None:
    @Guard(mask_pii, channel="llm")(reply="mask")
    def ask(prompt: str) -> Iterator[object]:
        yield {"delta": prompt}

    with pytest.raises(GuardrailsError):
        list(ask("hi"))


def test_nemo_masked_with_another_threshold_than_it_detected_with() -> None:
    control = MaskPII(thresholds={"PHONE_NUMBER": 0.9})
    text = f"+1 212 555 0173, {EMAIL}"
    assert (
        [found.type for found in control.find(text)] == [found.type for found in control.mask(text)[1]] == ["EMAIL_ADDRESS"]
    )


def test_openai_guardrails_returned_the_normalised_text(mask_pii: MaskPII) -> None:
    around = "\u201c\uff28\uff45\u201d \u00a0caf\u00e9 \ufb01 \u2460 "
    assert mask_pii.mask(around + EMAIL)[0] == around + "<EMAIL_ADDRESS>"


def test_openai_guardrails_and_guardrails_ai_returned_what_they_found(mask_pii: MaskPII) -> None:
    assert EMAIL not in repr(mask_pii.mask(f"to {EMAIL}")[1])
    with pytest.raises(GuardrailsError) as raised:
        MaskPII(operators={"EMAIL_ADDRESS": "block"}).mask(f"to {EMAIL}")
    assert EMAIL not in f"{raised.value} {raised.value!r} {raised.value.__dict__}"


def test_openai_guardrails_sent_when_the_guardrail_itself_failed(mask_pii: MaskPII) -> None:
    with pytest.raises(ControlError):
        mask_pii.mask(None)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("entities", [[], ["EMAIL"], ["email_address"], [""]])
def test_portkey_passed_everything_when_its_categories_were_missing_or_unknown(entities: list[str]) -> None:
    with pytest.raises(ConfigError):
        MaskPII(entities=entities)


# -- Presidio, as others configure it -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "public policy 12345678",  # "lic" in a word raised a driver's licence (gram PR#3172)
        "GUID 3f2504e0-4f89-11d3-9a0c-0305e82c3301",  # presidio#786
        "at 2026-11-24 10:30:15.123",
        "invoice 20261124, 3 items, total 1,250.00",
        "d9:f2",
    ],
)
def test_presidio_took_ordinary_numbers_for_personal_data(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


def test_presidio_merged_neighbours_of_one_type(mask_pii: MaskPII) -> None:  # presidio#1925
    assert mask_pii.mask(f"{EMAIL} bob@example.org")[0] == "<EMAIL_ADDRESS> <EMAIL_ADDRESS>"
