"""
Detection and masking, patterns only, against plain Presidio on the same messages in one run.

Baseline is a plain `AnalyzerEngine` with `NoOpNlpEngine`: once with Presidio's own recognizers for our default entities (the
same work), once with all that Presidio registers for English. Messages are synthetic and seeded, six in ten without personal
data; each is seen once a round, and nothing is cached between messages. Real traffic with fewer digits is faster.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from bench.measure import Subject, effort, headline, interleaved, judged, packages, row
from guardrails.pii import MaskPII
from guardrails.pii.registry import DEFAULT_ENTITIES, DEFAULT_THRESHOLD

SEED = "2026-11"
MESSAGES = 1_000
BUDGET = 1 / 10  # of the baseline's time
GOAL = 1 / 25
PLAIN = (
    "Your order {n:07d} has shipped and should arrive on Tuesday between 10:00 and 12:30.",
    "Thanks for waiting, we are looking into it and will come back to you today",
    "Hi, the total is ${a}.{b:02d} including delivery. Is that fine with you?",
    "Ok see you at {h}:30 then",
    "We changed your plan. The new price is {a} a month, from next month on. Nothing else changes; you can go back any time.",
    "Ticket {n:05d}: could you please send a photo of the label on the back of the router? It shows the model and the version.",
)
PERSONAL = (
    "You can reach me on +1 212 555 01{b:02d} after {h} or at user{n}@example.com.",
    "My card is 4242 4242 4242 4242 and the code is {a}.",
    "Please wire it to GB82 WEST 1234 5698 7654 32, reference {n:07d}.",
    "The report is at https://example.com/reports/{n}?user=u{a}. Let me know what you think.",
    "(212) 555-01{b:02d} is my new number, the old one stops working on the {h}th",
    "Server 192.0.2.{b} stopped answering at {h}:15, its neighbour 198.51.100.{b} is fine.",
)


def corpus(messages: int) -> list[str]:
    """Synthetic messages of one to four sentences; the same for the same seed."""
    texts = []
    for number in range(messages):
        dice = hashlib.sha256(f"{SEED}/{number}".encode()).digest()
        values = {"n": int.from_bytes(dice[:3]) % 10**7, "a": dice[3], "b": dice[4] % 100, "h": dice[5] % 12 + 1}
        parts = [PLAIN[die % len(PLAIN)] for die in dice[6 : 7 + dice[10] % 4]]
        if dice[11] < 102:
            parts.insert(dice[12] % (len(parts) + 1), PERSONAL[dice[13] % len(PERSONAL)])
        texts.append(" ".join(parts).format(**values))
    return texts


def presidio(*, same_entities: bool) -> AnalyzerEngine:
    """A plain engine with Presidio's own recognizers."""
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(
        languages=["en"], nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}])
    )
    if same_entities:
        wanted = set(DEFAULT_ENTITIES)
        registry.recognizers = [one for one in registry.recognizers if wanted.intersection(one.supported_entities)]
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
        default_score_threshold=DEFAULT_THRESHOLD,
    )


def over(texts: Sequence[str], work: Callable[[str], object]) -> Subject:
    """*work* on each of *texts*, seconds per message."""

    def measure() -> float:
        begun = time.perf_counter()
        for text in texts:
            work(text)
        return (time.perf_counter() - begun) / len(texts)

    return measure


def streamed(control: MaskPII) -> Callable[[str], object]:
    """*control* as the filter of a stream that arrives four characters at a time."""
    masking = control.filter()

    def work(text: str) -> object:
        for start in range(0, len(text), 4):
            masking.feed(text[start : start + 4])
        return masking.flush()

    return work


def main(*, quick: bool = False) -> None:
    """Print microseconds per message, messages a second, and ratios to the baseline."""
    work = effort(quick=quick)
    texts = corpus(work.calls(MESSAGES))
    control = MaskPII(names="off")
    same, everything = presidio(same_entities=True), presidio(same_entities=False)
    for text in texts:  # what is compared finds the same: our detection, and Presidio over our registry
        found = sorted((r.start, r.end, r.entity_type, r.score) for r in control.analyzer.analyze(text, language="en"))
        assert found == sorted(control._detector.spans(text))  # noqa: SLF001 - before segments and overlaps
    hits = sum(bool(control.find(text)) for text in texts)
    timed = interleaved(
        {
            "same": over(texts, lambda text: same.analyze(text, language="en")),
            "everything": over(texts, lambda text: everything.analyze(text, language="en")),
            "spans": over(texts, control._detector.spans),  # noqa: SLF001
            "find": over(texts, control.find),
            "mask": over(texts, control.mask),
            "filter": over(texts, streamed(control)),
        },
        max(3, work.rounds // 3),
    )
    print(packages("presidio-analyzer", "phonenumbers", "regex"))
    print(
        f"{len(texts)} messages, seed {SEED}, {sum(map(len, texts)) / len(texts):.0f} characters on average, {hits} with findings"
    )
    headline("microseconds per message; ratio: part of the baseline's time")
    base = timed["same"]
    for name, label in (
        ("same", "Presidio, its recognizers for our entities"),
        ("everything", "Presidio, all its English recognizers"),
        ("spans", "ours: detection only"),
        ("find", "ours: find (segments, overlaps, second look)"),
        ("mask", "ours: mask"),
        ("filter", "ours: filter, 4 characters a chunk"),
    ):
        row(label, timed[name], base, f"{1 / timed[name].median:8,.0f} messages/s, {1 / timed[name].ratio(base):5.1f}x")
    verdict = judged(timed["spans"].ratio(base), BUDGET, GOAL, unit="of the baseline")
    print(f"\n  detection only, against Presidio for the same entities: {verdict}")


if __name__ == "__main__":
    main()
