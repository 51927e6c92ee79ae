"""Defects of other maskers, each named after it, held against us. What they are and where they were seen stands beside each."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import anyio
import pytest
from presidio_analyzer import LocalRecognizer, PatternRecognizer, RecognizerResult

from guardrails import Guard, RateLimit, monitor
from guardrails.errors import Blocked, ConfigError, ControlError, GuardrailsError
from guardrails.keys import Keys
from guardrails.pii import Encrypt, Hash, MaskPII, Vault
from guardrails.pii.patterns import TimedPattern

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


def test_datafog_hashed_without_a_key_and_to_twelve_digits() -> None:
    masked = MaskPII(names="off", operators={"EMAIL_ADDRESS": "hash"}).mask(EMAIL)[0]
    assert re.fullmatch(r"<EMAIL_ADDRESS:hash:[a-p]{12}:[a-p]{32}>", masked)


class Failing(LocalRecognizer):
    """Fails on every text but the one that warms it up."""

    def load(self) -> None: ...

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ARG002
        if EMAIL in text and not text.startswith("Ann,"):
            raise RuntimeError(text)
        return []


def test_datafog_sends_by_default_what_it_failed_to_scan() -> None:
    sent: list[str] = []

    @Guard(MaskPII(names="off", recognizers=[Failing(["CODE"], name="Failing")]), channel="sms")
    def send(to: str, body: str) -> None:
        del to
        sent.append(body)

    with pytest.raises(ControlError) as raised:
        send("+12125550199", EMAIL)
    assert sent == []
    assert EMAIL not in str(raised.value)


def test_datafog_numbered_values_anew_in_every_call() -> None:
    guard = Guard(MaskPII(names="off", vault=Vault(), operators={"DEFAULT": "pseudonym"}), channel="llm")
    seen: list[str] = []

    @guard
    def ask(prompt: str, conversation: str) -> None:
        del conversation
        seen.append(prompt)

    for prompt, conversation in ((EMAIL, "c"), ("bob@example.com", "c"), (EMAIL, "c"), (EMAIL, "d")):
        ask(prompt, conversation)
    first, other, again, elsewhere = seen
    assert first == again
    assert len({first, other, elsewhere}) == 3


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


def test_langchain_let_a_blocked_value_pass_in_the_history() -> None:  # langchain#40704
    seen: list[object] = []

    @Guard(MaskPII(names="off", operators={"EMAIL_ADDRESS": "block"}), channel="llm")(text="messages[*].content")
    def ask(messages: list[dict[str, str]]) -> None:
        seen.append(messages)

    with pytest.raises(Blocked):
        ask([{"role": "user", "content": f"I am {EMAIL}"}, {"role": "user", "content": "and now?"}])
    assert seen == []


def test_langchain_blanked_the_arguments_of_tools_so_that_the_model_tried_again(
    mask_pii: MaskPII,
) -> None:  # langchain#40767
    seen: list[dict[str, Any]] = []

    @Guard(mask_pii, channel="llm")(text="args")
    def tool(args: dict[str, Any]) -> None:
        seen.append(args)

    given = {"to": [EMAIL, "desk"], "limit": 5, "dry": False, "note": None, "nested": {"cc": []}}
    tool(given)
    assert seen == [{**given, "to": ["<EMAIL_ADDRESS>", "desk"]}]
    assert given["to"] == [EMAIL, "desk"]


def test_langchain_nemo_and_openai_guardrails_read_texts_on_the_event_loop() -> None:
    where: list[threading.Thread] = []

    class Watched:
        def apply(self, entity: str, value: str, /) -> str:
            del value
            where.append(threading.current_thread())
            return f"<{entity}>"

    control = MaskPII()
    control._operators["PERSON"] = Watched()

    @Guard(control, channel="llm")
    async def ask(prompt: str) -> str:
        return prompt

    # DataFog and LangChain had no detector of names at all.
    assert anyio.run(ask, "My name is Ann Smith and I live in London.").startswith("My name is <PERSON> and")
    assert where
    assert threading.main_thread() not in where


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


def test_llm_guard_kept_values_for_ever_and_without_a_bound() -> None:
    vault = Vault(most_values=2)
    guard = Guard(MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}), channel="llm")

    @guard(reply="pass")
    def ask(prompt: str, conversation: str) -> str:
        del conversation
        return prompt

    vault.link("conversation:c", subject="ann")
    token = ask(EMAIL, "c")
    assert vault.restore(token, subject="ann") == EMAIL
    ask("bob@example.com", "c")
    with pytest.raises(GuardrailsError):
        ask("carol@example.com", "c")
    assert vault.forget("ann") > 0
    assert vault.restore(token, subject="ann") == token


def test_litellm_stopped_masking_when_something_was_only_monitored(mask_pii: MaskPII) -> None:  # litellm PR#38841
    sent: list[str] = []

    @Guard(monitor(RateLimit("1/minute", per="recipient")), mask_pii, channel="sms")
    def send(to: str, body: str) -> None:
        del to
        sent.append(body)

    for _ in range(2):
        send("+12125550199", EMAIL)
    assert sent == ["<EMAIL_ADDRESS>"] * 2


def test_litellm_and_presidio_broke_structured_texts(mask_pii: MaskPII) -> None:  # presidio#2272, elastic/kibana PR#232319
    sent: list[str] = []

    @Guard(mask_pii, channel="llm")(text="body|json")
    def post(body: str) -> None:
        sent.append(body)

    post(json.dumps({"who": [EMAIL, 7], "quote": 'says "hi"', "empty": []}))
    assert json.loads(sent[0]) == {"who": ["<EMAIL_ADDRESS>", 7], "quote": 'says "hi"', "empty": []}


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


def test_guardrails_ai_placed_its_findings_by_comparing_texts(mask_pii: MaskPII) -> None:
    text = f"{EMAIL} {EMAIL} <EMAIL_ADDRESS> {EMAIL}"
    masked, findings = mask_pii.mask(text)
    assert [text[one.start : one.end] for one in findings] == [EMAIL] * 3
    assert {masked[slice(*one.placed)] for one in findings if one.placed} == {"<EMAIL_ADDRESS>"}
    assert all(one.end < other.start for one, other in pairwise(findings))


def test_openai_guardrails_showed_a_stream_before_it_was_checked() -> None:
    @Guard(MaskPII(names="off", operators={"EMAIL_ADDRESS": "block"}), channel="llm")
    def ask(prompt: str) -> Iterator[str]:
        yield from f"{prompt}. Write to {EMAIL} now"

    shown: list[str] = []
    with pytest.raises(Blocked):
        shown.extend(ask("Hi"))
    assert "ann" not in "".join(shown)


def test_nemo_openai_guardrails_and_guardrails_ai_knew_one_language() -> None:
    assert "ES_NIF" in {one.type for one in MaskPII(names="off", languages=["en", "es"]).find("Mi DNI es 12345678Z.")}


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


def test_presidio_skipped_a_pattern_that_ran_out_of_time() -> None:
    slow = PatternRecognizer("SLOW", patterns=[TimedPattern("slow", r"(?:a|a)+(?!.)b", 0.9, seconds=0.05)])
    control = MaskPII(names="off", recognizers=[slow])
    with pytest.raises(ControlError, match=r"took more than 0\.05 seconds"):
        control.mask("a" * 1_000 + "b")


def test_presidio_encrypted_without_a_seal() -> None:
    encrypt = Encrypt(Keys(b"p" * 32))
    sealed = encrypt.apply("EMAIL_ADDRESS", EMAIL)
    assert encrypt.decrypt(sealed) == EMAIL
    for place in range(len("<EMAIL_ADDRESS:enc:"), len(sealed) - 1, 7):
        altered = sealed[:place] + ("a" if sealed[place] != "a" else "b") + sealed[place + 1 :]
        assert encrypt.decrypt(altered) == altered
