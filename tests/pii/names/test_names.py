"""`MaskPII(names="model")`: what it finds, that it finds the same however a text is cut, and that it fails closed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails import Guard
from guardrails.errors import ConfigError, ControlError
from guardrails.pii import MaskPII
from guardrails.pii.names.files import RAMPART, find, folders
from guardrails.pii.names.recognizer import NameRecognizer
from guardrails.pii.names.runtime import OVERLAP, TOKENS, Runtime, runtime
from tests.conftest import Run
from tests.pii.texts import CUTS, SHORT, cut

NAMES = st.sampled_from(
    [
        "Ann Smith",
        "bob jones",
        "MR. JOHN R. SMITH",
        "Dr. Müller",
        "1600 Pennsylvania Avenue NW, Washington, DC 20500",
        "10 Downing Street,\nLondon",
        "Canada",
        "my name is ",
        "I live in ",
        " moved to ",
        "O'Brien-Smith ",
        "李小龍",
        "passport 123456789",
        "A\u200bnn",
    ]
)
TEXTS = st.lists(st.one_of(NAMES, SHORT, st.sampled_from([" ", ". ", "\n", ", ", "! A"])), max_size=8).map("".join)
modest = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


@modest
@given(text=TEXTS, positions=CUTS)
def test_g4_the_joined_stream_equals_the_mask_of_the_joined_text_with_names(
    with_names: MaskPII, text: str, positions: list[int]
) -> None:
    masking = with_names.filter()
    positions = [position % (len(text) + 1) for position in positions]
    assert "".join(map(masking.feed, cut(text, positions))) + masking.flush() == with_names.mask(text)[0]


@settings(modest, max_examples=8)
@given(first=TEXTS, second=TEXTS, filler=st.sampled_from(["word ", "ann smith lives in paris and ", "xy" * 40, "7 "]))
def test_g4_holds_across_windows_and_runs_of_the_model(with_names: MaskPII, first: str, second: str, filler: str) -> None:
    text = first + filler * (2_300 // len(filler)) + second
    masking = with_names.filter()
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    assert "".join(map(masking.feed, pieces)) + masking.flush() == with_names.mask(text)[0]


@settings(modest, max_examples=150)
@given(text=st.text())
def test_any_text_can_be_masked_with_names(with_names: MaskPII, text: str) -> None:
    masked, findings = with_names.mask(text)
    assert masked == text or findings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi Ann Smith, see you at 10 Downing Street, London", "Hi <PERSON>, see you at <LOCATION>"),
        ("hi ann smith, see you at 10 downing street, london", "hi <PERSON>, see you at <LOCATION>"),
        ("HI ANN SMITH, SEE YOU AT 10 DOWNING STREET, LONDON", "HI <PERSON>, SEE YOU AT <LOCATION>"),
        ("My name is Bob, write to bob@example.com", "My name is <PERSON>, write to <EMAIL_ADDRESS>"),
        ("Your parcel has shipped and arrives on Tuesday.", "Your parcel has shipped and arrives on Tuesday."),
        ("We ship to Canada", "We ship to <LOCATION>"),
    ],
)
def test_names_and_addresses_in_any_case(with_names: MaskPII, text: str, expected: str) -> None:
    assert with_names.mask(text)[0] == expected


def test_the_dial_is_the_threshold(with_names: MaskPII) -> None:
    text = "Then the princess and carlos went to the lido with leona and mark"
    strict = MaskPII(names="model", thresholds={"PERSON": 0.05, "LOCATION": 0.05})
    precise = MaskPII(names="model", thresholds={"PERSON": 0.999, "LOCATION": 0.999})
    masked = [sum(f.end - f.start for f in control.find(text)) for control in (precise, with_names, strict)]
    assert masked == sorted(masked)
    assert masked[0] < masked[-1]


def test_entities_narrow_what_is_found() -> None:
    text = "Ann Smith lives in London, ann@example.com"
    assert MaskPII(names="model", entities=["PERSON"]).mask(text)[0] == "<PERSON> lives in London, ann@example.com"
    only_patterns = MaskPII(names="model", entities=["EMAIL_ADDRESS"])
    assert only_patterns.entities == {"EMAIL_ADDRESS"}
    with pytest.raises(ConfigError, match="unknown entity 'EMAIL'; did you mean 'EMAIL_ADDRESS'"):
        MaskPII(names="model", entities=["EMAIL"])


def test_its_engine_finds_the_same_before_overlaps(with_names: MaskPII) -> None:
    text = "Ann Smith lives in London, her card is 4242 4242 4242 4242"
    results = with_names.analyzer.analyze(text, language="en")
    assert {(r.start, r.end, r.entity_type) for r in results} >= {(f.start, f.end, f.type) for f in with_names.find(text)}


def test_it_works_in_an_engine_of_a_user() -> None:
    registry = RecognizerRegistry(recognizers=[NameRecognizer()], supported_languages=["en"])
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}])
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
    found = engine.analyze("Ann Smith lives in London", language="en")
    assert [(r.entity_type, r.start, r.end) for r in found] == [("PERSON", 0, 9), ("LOCATION", 19, 25)]
    assert MaskPII(analyzer=engine).mask("Ann Smith lives in London")[0] == "<PERSON> lives in <LOCATION>"
    with pytest.raises(ConfigError, match="NameRecognizer finds PERSON"):
        NameRecognizer(supported_entities=["NAME"])


def test_the_model_is_shared_and_many_threads_find_the_same(with_names: MaskPII) -> None:
    assert NameRecognizer()._runtime is runtime() is NameRecognizer()._runtime
    texts = [f"Ann Smith number {number} lives in London" for number in range(24)]
    expected = [with_names.mask(text)[0] for text in texts]
    barrier = threading.Barrier(4)

    def all_of_them() -> list[str]:
        barrier.wait()
        return [with_names.mask(text)[0] for text in texts]

    with ThreadPoolExecutor(4) as pool:
        assert [future.result() for future in [pool.submit(all_of_them) for _ in range(4)]] == [expected] * 4


def _masked_by_child(text: str, answer: Any) -> None:
    answer.send(MaskPII(names="model").mask(text)[0])


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_masks_too(with_names: MaskPII) -> None:
    text = "Ann Smith lives in London"
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_masked_by_child, args=(text, theirs))
    child.start()
    assert ours.poll(15)
    assert ours.recv() == with_names.mask(text)[0]
    child.join(15)
    assert child.exitcode == 0


def test_a_long_run_is_read_in_overlapping_pieces() -> None:
    model = runtime()
    text = "word " * (TOKENS * 2) + "my name is ann smith"
    words = model.words(text)
    assert len(words) == TOKENS * 2 + 5
    assert [text[word.start : word.end] for word in words][-2:] == ["ann", "smith"]
    assert {word.group for word in words[-2:]} == {"PERSON"}
    exact = "word " * TOKENS
    assert len(model.words(exact)) == TOKENS
    assert len(model.words(exact + "word")) == TOKENS + 1
    assert OVERLAP < TOKENS
    assert model.words("") == model.words(" \n") == []


def test_the_runtime_shows_nothing() -> None:
    assert repr(runtime()) == "Runtime(rampart)"


class Broken:
    """A session that fails, or answers something else than probabilities."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def run(self, *_: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [RuntimeError("Ann Smith"), [], [[[float("nan")] * 35] * 8]])
def test_g10_inference_that_fails_refuses_the_text_and_g3_says_nothing_of_it(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np  # noqa: PLC0415

    control = MaskPII(names="model")
    sent: list[str] = []
    monkeypatch.setattr(runtime(), "_session", Broken(np.array(answer) if answer and isinstance(answer, list) else answer))
    with pytest.raises(ControlError) as raised:
        Guard(control, channel="sms").wrap(sent.append, text="object")("Ann Smith")
    assert sent == []
    assert "Ann" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    with pytest.raises(ControlError, match="recognizer NameRecognizer raised"):
        control.mask("Ann Smith")
    masking = control.filter()
    with pytest.raises(ControlError):
        masking.feed("Ann Smith" * 300)


def test_g10_a_missing_model_is_refused_when_the_control_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        MaskPII(names="model")
    for word in ("guardrails models install", "platform-guardrails[names]", 'names="off"'):
        assert word in str(raised.value)


@pytest.mark.parametrize("name", ["model_q4.onnx", "vocab.txt"])
def test_g10_a_model_that_somebody_changed_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = find(RAMPART, folders())
    assert installed is not None
    copy = tmp_path / RAMPART.folder
    shutil.copytree(installed, copy)
    content = bytearray((copy / name).read_bytes())
    content[-1] ^= 1
    (copy / name).write_bytes(content)
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path))
    with pytest.raises(ConfigError, match="another SHA-256"):
        MaskPII(names="model")


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'onnxruntime': raise ModuleNotFoundError(name)\n"
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'onnxruntime' else real(name, package)\n"
        "from guardrails.errors import ConfigError\n"
        "from guardrails.pii import MaskPII\n"
        "try: MaskPII(names='model')\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20, cwd=tmp_path
    )
    assert "pip install 'platform-guardrails[names]'" in done.stdout


def test_an_unknown_kind_of_names_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match='"model", "off", "spacy:'):
        MaskPII(names="everything")


def test_g8_the_model_opens_no_socket(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "import urllib3.util.connection\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "class NoSocket(socket.socket):\n"
        "    def __init__(self, *args, **kwargs): refuse()\n"
        "socket.socket = NoSocket\n"
        "socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refuse\n"
        "from guardrails.pii import MaskPII\n"
        "assert MaskPII(names='model').mask('Ann Smith lives in London')[0] == '<PERSON> lives in <LOCATION>'\n"
    )
    folder = find(RAMPART, folders())
    assert folder is not None
    environment = {**os.environ, "HOME": str(tmp_path), "GUARDRAILS_MODELS": str(folder.parent)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, env=environment)
    assert not any(tmp_path.iterdir())  # onnxruntime's telemetry would have left its queue here


def test_async_sends_run_the_model_in_another_thread(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    control = MaskPII(names="model")
    ran_in: list[int] = []
    words = Runtime.words

    def watched(self: Runtime, text: str) -> Any:
        ran_in.append(threading.get_ident())
        return words(self, text)

    monkeypatch.setattr(Runtime, "words", watched)
    sent: list[str] = []

    @Guard(control, channel="sms")
    async def send(to: str, body: str) -> None:
        sent.append(body)

    async def main() -> None:
        await send("+1 212 555 0173", "Hi Ann Smith")

    run(main)
    assert sent == ["Hi <PERSON>"]
    assert ran_in
    assert threading.get_ident() not in ran_in


def test_ids_are_looked_at_for_patterns_only(with_names: MaskPII) -> None:
    for identifier in ("demo-kpnkzfcm-n0", "tenant-acme", "conv-123", "thread_abc"):
        assert with_names.is_opaque(identifier)
    for identifier in ("ann@example.com", "+12125550173"):
        assert not with_names.is_opaque(identifier)
        assert not MaskPII(names="off").is_opaque(identifier)


def test_names_are_found_by_default() -> None:
    assert MaskPII().mask("Hi Ann Smith")[0] == "Hi <PERSON>"
    assert {"PERSON", "LOCATION", "ID"} <= MaskPII().entities
    assert not {"PERSON", "LOCATION"} & MaskPII(names="off").entities
