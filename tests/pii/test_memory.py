"""What comes again is not looked at again, and nobody else learns that it came."""

from __future__ import annotations

from threading import Thread

import pytest

from guardrails import Guard
from guardrails.core.message import Message
from guardrails.errors import ConfigError
from guardrails.pii import MaskPII
from guardrails.pii.memory import Memory
from guardrails.pii.names.recognizer import NameRecognizer
from guardrails.pii.spans import Span

TEXT = "Hello Ann Smith, your parcel has arrived"


class Look:
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> list[Span]:
        self.asked.append(text)
        if "fail" in text:
            raise ValueError(text)
        return [Span(6, 9, "PERSON", 0.9)]


def test_a_segment_that_comes_again_is_looked_at_once() -> None:
    look = Look()
    remembering = Memory().remembering(look, "a")
    first = remembering(TEXT)
    first.append(Span(0, 1, "URL", 1.0))  # what a caller does to its list stays its own
    assert remembering(TEXT) == remembering(TEXT) == [Span(6, 9, "PERSON", 0.9)]
    assert look.asked == [TEXT]


def test_each_tenant_has_its_own_and_the_memory_is_shared() -> None:
    look, memory = Look(), Memory()
    for tenant in ("a", "b", None, "a"):
        memory.remembering(look, tenant)(TEXT)
    assert look.asked == [TEXT] * 3
    assert len(memory) == 3


def test_g3_it_holds_no_text() -> None:
    memory = Memory()
    memory.remembering(Look(), "tenant-7")(TEXT)
    held = repr([memory, memory._found, memory._key])
    assert "Ann" not in held
    assert "tenant" not in held


def test_g11_it_is_bounded_and_the_oldest_goes_first() -> None:
    look, memory = Look(), Memory(3)
    remembering = memory.remembering(look, None)
    for number in range(10):
        remembering(f"{TEXT} number {number}")
    assert len(memory) == 3
    asked = len(look.asked)
    remembering(f"{TEXT} number 9")
    assert len(look.asked) == asked
    remembering(f"{TEXT} number 0")
    assert len(look.asked) == asked + 1


def test_g10_a_look_that_failed_is_not_remembered() -> None:
    look = Look()
    remembering = Memory().remembering(look, None)
    for _ in range(2):
        with pytest.raises(ValueError, match="fail"):
            remembering(f"{TEXT} fail")
    assert len(look.asked) == 2


def test_threads_share_it_and_it_stays_bounded() -> None:
    memory = Memory(5)
    remembering = memory.remembering(Look(), None)
    results: list[list[Span]] = []
    threads = [
        Thread(target=lambda: results.extend(remembering(f"{TEXT} number {number % 9}") for number in range(300)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[Span(6, 9, "PERSON", 0.9)]] * 1_200
    assert len(memory) <= 5 + len(threads)


def test_the_name_model_runs_once_for_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    control, without = MaskPII(), MaskPII(cache=0)
    runs: list[str] = []
    analyze = NameRecognizer.analyze

    def counted(self: NameRecognizer, text: str, *args: object) -> object:
        runs.append(text)
        return analyze(self, text, *args)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(NameRecognizer, "analyze", counted)
    assert [control.mask(TEXT)[0] for _ in range(3)] == ["Hello <PERSON>, your parcel has arrived"] * 3
    assert len(runs) == 1
    assert [without.mask(TEXT)[0] for _ in range(2)] == ["Hello <PERSON>, your parcel has arrived"] * 2
    assert len(runs) == 3

    sent: list[str] = []
    guard = Guard(control)
    for tenant in ("a", "a", "b"):
        guard.run(
            Message(parts={"text": TEXT}, tenant=tenant, channel="sms"), lambda message: sent.append(message.parts["text"])
        )
    assert sent == ["Hello <PERSON>, your parcel has arrived"] * 3
    assert len(runs) == 5


def test_patterns_alone_are_not_remembered() -> None:
    assert MaskPII(names="off")._examiners.memory is None


@pytest.mark.parametrize("cache", [-1, 1.5, True, "many", 10**9])
def test_a_wrong_size_says_what_to_write(cache: object) -> None:
    with pytest.raises(ConfigError, match="a number of segments from 0 to 1,000,000"):
        MaskPII(names="off", cache=cache)  # type: ignore[arg-type]  # wrong on purpose
