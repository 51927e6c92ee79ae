"""Spans: made by a thread of their own, with nothing lost silently, and nothing of a message in them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from guardrails import ConfigError, Denied, Deny, Guard, MaskPII, Message, check
from guardrails.telemetry.metrics import Metrics
from guardrails.telemetry.prometheus import exposition
from guardrails.telemetry.spans import Spans

TO = "+12125550173"


@check
def no_shouting(message: Message) -> Deny | None:
    return Deny("shouting") if message.text.isupper() else None


def provider(to: str, body: str) -> str:
    return f"accepted for {to}" if body else to


def a_send() -> Callable[..., str]:
    return Guard(MaskPII(names="off"), no_shouting, channel="sms")(provider)


class Held(SpanExporter):
    """Exports nothing until it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.busy = threading.Event()
        self.spans: list[ReadableSpan] = []
        self.by: set[str] = set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.busy.set()
        self.go.wait(10.0)
        self.spans += spans
        self.by.add(threading.current_thread().name)
        return SpanExportResult.SUCCESS


@contextmanager
def made(exporter: SpanExporter, **how: Any) -> Iterator[tuple[Spans, TracerProvider]]:
    tracers = TracerProvider(shutdown_on_exit=False, **{key: how.pop(key) for key in ("sampler",) if key in how})
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    spans = Spans(tracers, **how).install()
    try:
        yield spans, tracers
    finally:
        spans.uninstall()


def left_out() -> int:
    text = exposition(Metrics())
    return int(next(line for line in text.splitlines() if line.startswith("guardrails_spans_left_out_total ")).split()[1])


def test_spans_say_how_a_send_ended_and_nothing_of_it() -> None:
    exporter, send = InMemorySpanExporter(), a_send()
    with made(exporter) as (spans, tracers):
        with tracers.get_tracer("app").start_as_current_span("request") as request:
            send(TO, "write to ann@example.com")
            with pytest.raises(Denied):
                send(TO, "LOUD")
        assert spans.flush()
    parent, sent, refused = exporter.get_finished_spans()  # the parent was over before they were made
    assert parent.name == "request"
    for span in (sent, refused):
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert parent.start_time is not None
        assert parent.end_time is not None
        assert parent.start_time < span.start_time < span.end_time < parent.end_time
    assert sent.attributes is not None
    assert sent.attributes["guardrails.result"] == "sent"
    assert sent.attributes["guardrails.findings.EMAIL_ADDRESS"] == 1
    assert isinstance(sent.attributes["guardrails.control.mask_pii.duration_us"], int)
    assert refused.attributes is not None
    assert (refused.attributes["guardrails.control"], refused.attributes["error.type"]) == ("no_shouting", "Denied")
    assert refused.status.status_code is StatusCode.ERROR
    everything = "".join(span.to_json() for span in (sent, refused))
    assert [secret for secret in (TO, "ann@", "LOUD") if secret in everything] == []


def test_who_sends_does_not_wait_for_an_exporter_and_spans_come_by_themselves() -> None:
    exporter, send = Held(), a_send()
    with made(exporter):
        for _ in range(3):
            send(TO, "hello")
        assert exporter.busy.wait(5.0)
        send(TO, "hello again")  # while the exporter is stuck
        exporter.go.set()
    assert len(exporter.spans) == 4
    assert "guardrails-spans" in exporter.by


def test_no_more_wait_than_may_and_the_others_are_counted() -> None:
    exporter, send = Held(), a_send()
    before = left_out()
    with made(exporter, most_waiting=5):
        send(TO, "hello")
        assert exporter.busy.wait(5.0)
        for _ in range(8):
            send(TO, "hello")
        assert left_out() - before == 3
        exporter.go.set()
    assert len(exporter.spans) == 6


def test_with_none_waiting_the_span_is_there_before_the_send_returns() -> None:
    exporter, send = InMemorySpanExporter(), a_send()
    with made(exporter, most_waiting=0):
        send(TO, "hello")
        assert len(exporter.get_finished_spans()) == 1


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "many"])
def test_a_wrong_number_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="most_waiting"):
        Spans(TracerProvider(), most_waiting=wrong)


def test_processors_see_the_context_of_the_send() -> None:
    seen: list[tuple[object, object]] = []

    class Looks(SimpleSpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            del span
            seen.append((baggage.get_baggage("room", parent_context), baggage.get_baggage("room", get_current())))

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(Looks(InMemorySpanExporter()))
    spans, send = Spans(tracers).install(), a_send()
    try:
        token = attach(baggage.set_baggage("room", "blue"))
        send(TO, "hello")
        detach(token)
    finally:
        spans.uninstall()
    assert seen == [("blue", "blue")]


def test_a_sampler_is_asked_with_what_it_may_decide_on_and_no_durations_are_put_together_for_nothing() -> None:
    class Picky(Sampler):
        asked: Any = None

        def should_sample(self, parent_context: Any, trace_id: int, name: str, *given: Any, **named: Any) -> SamplingResult:
            del parent_context, trace_id, name
            self.asked = named.get("attributes") or given[1]
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "picky"

    sampler, exporter, send = Picky(), InMemorySpanExporter(), a_send()
    with made(exporter, sampler=sampler), pytest.raises(Denied):
        send(TO, "LOUD")
    assert exporter.get_finished_spans() == ()
    assert {"guardrails.result", "error.type", "guardrails.control"} <= sampler.asked.keys()
    assert [name for name in sampler.asked if "duration" in name] == []


def test_g3_an_exporter_that_fails_is_named_by_class_and_the_others_are_made(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(SimpleSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            if span.attributes and span.attributes["guardrails.result"] == "refused":
                raise ValueError("ann@example.com")
            super().on_end(span)

    exporter, send, before = InMemorySpanExporter(), a_send(), left_out()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(Fails(exporter))
    spans = Spans(tracers).install()
    try:
        with caplog.at_level(logging.ERROR, "guardrails"):
            with pytest.raises(Denied):
                send(TO, "LOUD")
            send(TO, "hello")
            assert spans.flush()
            assert left_out() - before == 1
    finally:
        spans.uninstall()
    assert len(exporter.get_finished_spans()) == 1
    assert "ValueError" in caplog.text
    assert "ann@" not in caplog.text


def test_an_exporter_may_send_through_a_guard_itself() -> None:
    exporter, send = InMemorySpanExporter(), a_send()

    class Alarms(SimpleSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            super().on_end(span)
            if len(exporter.get_finished_spans()) == 1:
                send(TO, "a span was made")

    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(Alarms(exporter))
    spans = Spans(tracers).install()
    try:
        send(TO, "hello")
        assert spans.flush()
    finally:
        spans.uninstall()
    assert len(exporter.get_finished_spans()) == 2


def test_a_flush_that_takes_too_long_says_so() -> None:
    exporter, send = Held(), a_send()
    with made(exporter) as (spans, _):
        send(TO, "hello")
        assert exporter.busy.wait(5.0)
        assert not spans.flush(0.01)
        exporter.go.set()
        assert spans.flush(5.0)


def test_spans_can_be_installed_again() -> None:
    exporter, send = InMemorySpanExporter(), a_send()
    with made(exporter) as (spans, _):
        send(TO, "hello")
        spans.uninstall()
        send(TO, "unseen")
        spans.install()
        send(TO, "hello")
    assert len(exporter.get_finished_spans()) == 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_makes_its_own_spans_and_not_its_parents() -> None:
    exporter, send = Held(), a_send()
    with made(exporter) as (spans, _):
        for _ in range(3):
            send(TO, "hello")
        child = os.fork()
        if not child:
            exporter.go.set()
            send(TO, "hello")
            spans.flush()
            os._exit(0 if len(exporter.spans) == 1 else 1)
        _, status = os.waitpid(child, 0)
        exporter.go.set()
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(exporter.spans) == 3


@pytest.mark.parametrize("provider_first", [True, False])
def test_at_exit_all_spans_are_made_before_the_provider_closes(tmp_path: Path, *, provider_first: bool) -> None:
    program = textwrap.dedent(f"""
        import threading
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
        from guardrails import Guard
        from guardrails.telemetry.spans import Spans

        def provide():
            tracers = TracerProvider()
            exporter = ConsoleSpanExporter(out=open({str(tmp_path / "spans")!r}, "w"), formatter=lambda span: span.name + "\\n")
            tracers.add_span_processor(BatchSpanProcessor(exporter))
            trace.set_tracer_provider(tracers)

        if {provider_first}:
            provide()
        spans = Spans().install()
        send = Guard(channel="sms")(lambda to, body: "accepted")
        send("+12125550173", "before there is a provider, or after")
        if not {provider_first}:
            spans.flush()
            threading.Event().wait(0.5)  # until the thread sleeps again
            provide()
        for _ in range(5):
            send("+12125550173", "hello")
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "spans").read_text().split("\n").count("guardrails sms") == (6 if provider_first else 5)
