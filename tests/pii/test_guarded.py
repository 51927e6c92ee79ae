"""The control inside a guard: arguments, replies and streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import anyio
import pytest

from guardrails import Guard
from guardrails.errors import ControlError
from guardrails.pii import MaskPII, Vault
from guardrails.pii.windows import WINDOW


def test_the_send_sees_masked_text_only(mask_pii: MaskPII) -> None:
    sent: list[tuple[str, str]] = []

    @Guard(mask_pii, channel="sms")
    def send(to: str, body: str) -> str:
        sent.append((to, body))
        return "ok"

    assert send("+12125550199", "Call +1 212 555 0173 or write to ann@example.com") == "ok"
    assert sent == [("+12125550199", "Call <PHONE_NUMBER> or write to <EMAIL_ADDRESS>")]


def test_a_models_stream_is_masked_however_it_is_cut(mask_pii: MaskPII) -> None:
    answer = "Write to ann@example.com. Or call +1 212 555 0173. " + "word " * WINDOW + "219-09-9999"

    @Guard(mask_pii, channel="llm")
    def ask(prompt: str) -> Iterator[str]:
        assert prompt == "I am <EMAIL_ADDRESS>"
        yield from answer

    expected = "Write to <EMAIL_ADDRESS>. Or call <PHONE_NUMBER>. " + "word " * WINDOW + "<US_SSN>"
    assert "".join(ask("I am bob@example.org")) == expected


def test_g2_g10_a_failing_operator_means_that_nothing_is_sent() -> None:
    class Failing:
        def apply(self, entity: str, value: str, /) -> str:
            raise ValueError(f"{entity} {value}")

    control = MaskPII(names="off")
    control._operators["EMAIL_ADDRESS"] = Failing()
    sent: list[str] = []

    @Guard(control, channel="sms")
    def send(to: str, body: str) -> None:
        sent.append(body)

    with pytest.raises(ControlError) as raised:
        send("+12125550199", "ann@example.com")
    assert sent == []
    assert raised.value.sent is False
    assert "ann@example.com" not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("asks", [{}, {"vault": Vault()}, {"budget_ms": 10_000.0}], ids=["plain", "vault", "budget"])
def test_a_text_that_is_dense_with_numbers_does_not_hold_the_event_loop(backend: str, asks: dict[str, object]) -> None:
    where: list[threading.Thread] = []

    class Watched:
        def apply(self, entity: str, value: str, /) -> str:
            del entity, value
            where.append(threading.current_thread())
            return "it"

    control = MaskPII(names="off", **asks)  # type: ignore[arg-type]  # as the keywords take them
    control._operators["EMAIL_ADDRESS"] = Watched()

    @Guard(control, channel="sms")
    async def send(to: str, body: str) -> str:
        del to
        return body

    dense, ordinary = "4711 " * 120 + "ann@example.com", "word " * 600 + "ann@example.com"
    for text in (dense, ordinary):
        assert anyio.run(partial(send, "+12125550199", text), backend=backend).endswith(" it")
    assert [one is threading.main_thread() for one in where] == [False, True]
