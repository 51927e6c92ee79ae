"""Log lines and spans hold no personal data, whatever an application puts into them."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from guardrails import MaskPII
from guardrails.telemetry import MaskingFilter, masking_processor
from guardrails.telemetry.otel import MaskingLogExporter, MaskingSpanExporter

EMAIL, PHONE = "ann@example.com", "+1 212 555 0173"
MASK = MaskPII(names="off").mask
LEAVES: Any = st.sampled_from([EMAIL, 1, None, True, b"x", "plain"])


class Odd:
    def __repr__(self) -> str:
        return f"Odd({EMAIL})"


class Broken:
    def __repr__(self) -> str:
        raise ValueError(EMAIL)


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(who)s", defaults={"who": "-"}))
    handler.addFilter(MaskingFilter(MASK))
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, out
    logger.removeHandler(handler)
    logger.propagate = True


def test_g3_messages_arguments_extras_and_exceptions_are_masked(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = log
    logger.getChild("mail").warning("wrote to %s from %s", EMAIL, Odd(), extra={"who": {"phone": PHONE, "n": 3}})
    try:
        int(EMAIL)
    except ValueError:
        logger.exception("failed for %(who)s", {"who": EMAIL}, stack_info=True)
    logger.warning("%s %s", *[EMAIL])
    text = out.getvalue()
    assert EMAIL not in text
    assert PHONE not in text
    assert "wrote to <EMAIL_ADDRESS> from Odd(<EMAIL_ADDRESS>) {'phone': '<PHONE_NUMBER>', 'n': 3}" in text
    assert "ValueError: invalid literal for int() with base 10: '<EMAIL_ADDRESS>'" in text
    assert "do not fit" in text


def test_g3_names_of_loggers_and_threads_are_masked_and_nobody_can_say_that_a_line_is(
    log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, out = log
    logger.handlers[0].setFormatter(logging.Formatter("%(name)s %(threadName)s %(message)s"))
    spoken = logger.getChild(EMAIL.replace(".", "-"))
    thread = threading.Thread(
        target=lambda: spoken.warning(EMAIL, extra={"_guardrails_masked": True}), name=f"call {PHONE}"
    )
    thread.start()
    thread.join()
    logger.warning("bye")
    assert out.getvalue() == (
        f"{MASK(spoken.name)[0]} call <PHONE_NUMBER> <EMAIL_ADDRESS>\nshop {threading.current_thread().name} bye\n"
    )
    assert EMAIL not in out.getvalue()


@pytest.mark.parametrize("given", ["true", "exception", "tuple"])
def test_g3_an_exception_that_no_processor_has_written_is_not_left_to_a_renderer(given: str) -> None:
    out = io.StringIO()
    renderer = structlog.dev.ConsoleRenderer(colors=False)
    logger = structlog.wrap_logger(structlog.PrintLogger(out), processors=[masking_processor(MASK), renderer])
    try:
        int(EMAIL)
    except ValueError as error:
        told: Any = {"true": True, "exception": error, "tuple": sys.exc_info()}[given]
        logger.exception("it failed", exc_info=told)
    logger.error("it goes on", exc_info=True)  # noqa: LOG014 - outside of one, on purpose
    assert EMAIL not in out.getvalue()
    assert "ValueError: invalid literal for int() with base 10: '<EMAIL_ADDRESS>'" in out.getvalue()


def test_g10_what_cannot_be_masked_is_withheld_and_the_application_goes_on() -> None:
    def fails(text: str) -> Any:
        logging.getLogger("shop").warning("from inside %s", EMAIL)
        raise ValueError(text)

    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(MaskingFilter(fails))
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning("to %s %s", *[EMAIL])
        logger.warning("to %s", Broken())
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert EMAIL not in out.getvalue()
    assert "<WITHHELD>" in out.getvalue()


def test_g3_structlog_events_are_masked_however_deep() -> None:
    lines: list[dict[str, Any]] = []

    def keep(_logger: Any, _method: str, event: Any) -> Any:
        lines.append(dict(event))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[masking_processor(MASK, skip=["order"]), keep])
    logger.info("to ann@example.com", level="info", order="o-1", n=1, who=[{"phone": PHONE, EMAIL: (EMAIL,)}], odd=Odd())
    (line,) = lines
    assert line["event"] == "to <EMAIL_ADDRESS>"
    assert line["who"] == [{"phone": "<PHONE_NUMBER>", "<EMAIL_ADDRESS>": ("<EMAIL_ADDRESS>",)}]
    assert line["odd"] == "Odd(<EMAIL_ADDRESS>)"
    assert (line["level"], line["order"], line["n"]) == ("info", "o-1", 1)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", EMAIL]), inner)))
def test_g3_no_value_brings_an_address_through(value: Any) -> None:
    assert EMAIL not in repr(masking_processor(MASK)(None, "info", {"value": value}))


def test_g3_spans_are_exported_masked() -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(MaskingSpanExporter(memory, MASK)))
    with provider.get_tracer("shop").start_as_current_span(f"to {EMAIL}") as span:
        span.set_attribute("gen_ai.input.messages", f"call {PHONE}")
        span.set_attribute("n", 3)
        span.add_event("sent", {"to": EMAIL})
        span.set_status(Status(StatusCode.ERROR, f"no {EMAIL}"))
    provider.shutdown()
    (done,) = memory.get_finished_spans()
    written = done.to_json()
    assert EMAIL not in written
    assert PHONE not in written
    assert done.name == "to <EMAIL_ADDRESS>"
    assert dict(done.attributes or {}) == {"gen_ai.input.messages": "call <PHONE_NUMBER>", "n": 3}


def test_g3_log_records_are_exported_masked_and_others_see_them_as_they_were() -> None:
    in_memory: Any = InMemoryLogRecordExporter
    memory, plain = in_memory(), in_memory()
    provider = LoggerProvider()
    for exporter in (MaskingLogExporter(memory, MASK), plain):
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    body = {"message": f"to {EMAIL}", "parts": [PHONE]}
    provider.get_logger("shop").emit(LogRecord(body=body, attributes={"to": EMAIL, "n": 3}, severity_text="INFO"))
    provider.force_flush()
    provider.shutdown()
    (masked,) = memory.get_finished_logs()
    (own,) = plain.get_finished_logs()
    assert masked.log_record.body == {"message": "to <EMAIL_ADDRESS>", "parts": ["<PHONE_NUMBER>"]}
    assert dict(masked.log_record.attributes or {}) == {"to": "<EMAIL_ADDRESS>", "n": 3}
    assert masked.log_record.severity_text == "INFO"
    assert EMAIL in repr(own.log_record.body)
