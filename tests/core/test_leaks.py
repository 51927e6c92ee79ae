# ruff: noqa: A002, ARG002, ARG005 - controls, steps and stand-ins take what the contract gives them; `id` is a known name
"""
G3: what detection finds is in nothing that we raise, show or log.

Canaries are put wherever a caller, a control or a provider may put text. Afterwards nothing of ours may hold them: not
the exception, not what is chained to it, not the locals of our frames, not a log record, not a repr.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Self

import pytest

import guardrails
from guardrails import AuditLog, Deny, Guard, MaskPII, Message, RateLimit, check, context, monitor
from guardrails.core.call import Call
from guardrails.core.caps import Caps
from guardrails.errors import (
    Blocked,
    ConfigError,
    ControlError,
    Deferred,
    Denied,
    GuardrailsError,
    RateLimited,
    Unavailable,
)
from guardrails.keys import Keys
from tests.core.doubles import Answer, Change, Filter, Hide, Intent, Look, Raise, Record

PHONE, MAIL, CARD = "+1 212 555 0173", "ann@example.com", "4242 4242 4242 4242"
CANARIES = ("555 0173", "5550173", "ann@example", "4242 4242", "42424242")
TEXT = f"Call {PHONE} or write to {MAIL}, card {CARD}."
OURS = str(Path(guardrails.__file__).parent)


@cache
def mask() -> MaskPII:
    return MaskPII(names="off")


def clean(shown: str, what: str) -> None:
    """Fail when *shown* holds a canary; say where, not what."""
    found = [canary for canary in CANARIES if canary in shown]
    assert not found, f"{what} shows {found[0]}"


def insides(value: object) -> Iterator[tuple[str, object]]:
    """What hangs on a value of ours, or lies in a container."""
    if isinstance(value, dict | MappingProxyType):
        yield from ((f"[{number}]", part) for number, pair in enumerate(value.items()) for part in pair)
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif type(value).__module__.startswith("guardrails") and not isinstance(value, type):
        yield from getattr(value, "__dict__", {}).items()
        for owner in type(value).__mro__:
            slots = owner.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, slot):
                    yield slot, getattr(value, slot)


def walk(value: object, where: str, *, known: set[int], depth: int = 12) -> None:
    """Look at a value and what it leads to."""
    if id(value) in known or isinstance(value, asyncio.Task):  # a task that is done shows the send's own exception
        return
    known.add(id(value))
    if isinstance(value, BaseException):
        if type(value).__module__.startswith("guardrails"):
            clean(f"{value!r} {value.args!r} {vars(value)!r}", where)
        return
    clean(repr(value), where)
    if depth:
        for name, part in insides(value):
            walk(part, f"{where}.{name}", known=known, depth=depth - 1)


def frames(error: BaseException) -> Iterator[FrameType]:
    """Our frames in its traceback."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(OURS):
            yield trace.tb_frame
        trace = trace.tb_next


def chain(error: BaseException | None, seen: dict[int, BaseException]) -> dict[int, BaseException]:
    if error is not None and id(error) not in seen:
        seen[id(error)] = error
        chain(error.__cause__, seen)
        chain(error.__context__, seen)
        for one in getattr(error, "exceptions", ()):
            chain(one, seen)
    return seen


def check_frames(error: BaseException) -> None:
    """No frame of ours leads to a canary, whatever the exception is."""
    for one in chain(error, {}).values():
        for frame in frames(one):
            for name, value in frame.f_locals.items():
                walk(value, f"{frame.f_code.co_qualname}: {name}", known={id(error)})


def check_error(error: BaseException) -> None:
    """An exception of ours: it, everything chained to it, and every frame of ours."""
    assert isinstance(error, GuardrailsError)
    for one in chain(error, {}).values():
        clean(f"{one} {one!r} {one.args!r} {vars(one)!r} {getattr(one, '__notes__', '')}", type(one).__name__)
    clean(pickle.dumps(error, 0).decode("latin-1"), "its pickle")
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    clean(f"{twin} {twin!r} {vars(twin)!r}", "its twin")
    assert error.__cause__ is None
    assert error.__context__ is None
    ours = [line for line in traceback.format_exception(error) if OURS in line or line.startswith("guardrails")]
    clean("".join(ours), "the traceback")
    check_frames(error)


def check_log(caplog: pytest.LogCaptureFixture) -> None:
    for record in caplog.records:
        if record.name.startswith("guardrails"):
            clean(f"{record.getMessage()} {record.args!r} {record.exc_info!r} {record.exc_text}", "the log")


class Sends:
    """One send in every shape; *error* is what it raises, *reply* what it says."""

    def __init__(self, *, error: BaseException | None = None, reply: Any = "done") -> None:
        self.error = error
        self.reply = reply
        self.entered = 0

    def _act(self) -> Any:
        self.entered += 1
        if self.error is not None:
            raise self.error
        return self.reply

    def function(self, to: Any, body: Any, id: Any = None) -> Any:
        return self._act()

    async def coroutine(self, to: Any, body: Any, id: Any = None) -> Any:
        return self._act()

    def generator(self, to: Any, body: Any, id: Any = None) -> Iterator[Any]:
        yield "first "
        yield self._act()

    async def async_generator(self, to: Any, body: Any, id: Any = None) -> AsyncIterator[Any]:
        yield "first "
        yield self._act()

    def iterator(self, to: Any, body: Any, id: Any = None) -> Iterator[Any]:
        return self.generator(to, body, id)

    async def async_iterator(self, to: Any, body: Any, id: Any = None) -> AsyncIterator[Any]:
        return self.async_generator(to, body, id)


SHAPES = ["function", "coroutine", "generator", "async_generator", "iterator", "async_iterator"]
shapes = pytest.mark.parametrize("shape", SHAPES)


async def drain(send: Callable[..., Any], *args: Any) -> Any:
    value = send(*args)
    if inspect.isawaitable(value):
        value = await value
    if hasattr(value, "__anext__"):
        return [chunk async for chunk in value]
    return list(value) if hasattr(value, "__next__") else value


def failure_of(send: Callable[..., Any], *args: Any, debug: bool = True) -> BaseException:
    """What a call raises in the end."""
    if not (inspect.iscoroutinefunction(send) or inspect.isasyncgenfunction(send)):
        try:
            value = send(*args)
            if hasattr(value, "__next__"):
                list(value)
        except BaseException as error:  # noqa: BLE001 - looked at
            return error
    else:
        try:
            with asyncio.Runner(debug=debug) as runner:
                runner.run(drain(send, *args))
        except BaseException as error:  # noqa: BLE001 - looked at
            return error
    raise AssertionError("nothing was raised")


class Shouted(Denied):
    """A team's own refusal, with fields of its own."""

    def __init__(self) -> None:
        super().__init__(f"shouts {TEXT}")
        self.quote = TEXT
        self.quotes = [TEXT, (TEXT,), {TEXT: TEXT}, {TEXT}, TEXT.encode()]
        self.message = Message(TEXT, channel="sms")
        self.error = ValueError(TEXT)
        self.add_note(TEXT)


def chained() -> BaseException:
    """A crash with text wherever an exception can carry it."""
    try:
        try:
            raise KeyError(TEXT)  # noqa: TRY301 - one exception chained to another
        except KeyError as cause:
            raise ValueError(TEXT, {TEXT: TEXT}) from cause
    except ValueError as error:
        error.add_note(TEXT)
        return error


class Stingy(Denied):
    """A refusal that cannot be made without arguments."""

    def __new__(cls, code: str) -> Self:
        return super().__new__(cls, code)


FAULTS: Mapping[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError(TEXT),
    "chained": chained,
    "group": lambda: ExceptionGroup(TEXT, [ValueError(TEXT)]),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", TEXT.encode(), 0, 1, TEXT),
    "OSError": lambda: OSError(2, TEXT, TEXT),
    "Denied": lambda: Denied(TEXT),
    "RateLimited": lambda: RateLimited(TEXT, retry_after=1.0, limit=TEXT, scope=MAIL),
    "Blocked": lambda: Blocked(TEXT, findings={MAIL: 1}),
    "Deferred": lambda: Deferred(TEXT, not_before=datetime(2026, 1, 1, tzinfo=UTC)),
    "Unavailable": lambda: Unavailable(TEXT),
    "ControlError": lambda: ControlError(TEXT, control=MAIL, where=TEXT),
    "ConfigError": lambda: ConfigError(TEXT),
    "GuardrailsError": lambda: GuardrailsError(TEXT),
    "own class": Shouted,
    "no text": lambda: Denied(12125550173),  # type: ignore[arg-type]  # wrong on purpose
    "None": lambda: Denied(None),  # type: ignore[arg-type]
    "needs arguments": lambda: Stingy(TEXT),
    "StopIteration": lambda: StopIteration(TEXT),
    "TimeoutError": lambda: TimeoutError(TEXT),
}
faults = pytest.mark.parametrize("fault", FAULTS)


def guards(fault: Any) -> dict[str, Guard]:
    return {
        "before the mask": Guard(Record(), fault, mask(), Look(), channel="llm"),
        "after the mask": Guard(Record(), mask(), Look(), fault, channel="llm"),
        "team": Guard(Record(), mask(), channel="llm").extend(Look(), fault),
    }


PLACES = ["before the mask", "after the mask", "team"]


@faults
@pytest.mark.parametrize(
    ("shape", "place", "after"),
    [
        *((shape, place, after) for shape in SHAPES[:2] for place in PLACES for after in (False, True)),
        *((shape, place, after) for shape in SHAPES[2:] for place, after in (("after the mask", True), ("team", False))),
    ],
)
def test_g3_what_a_control_raises_leaves_without_its_text(
    shape: str, fault: str, place: str, *, after: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sends = Sends()
    send = guards(Raise(FAULTS[fault](), after=after))[place](getattr(sends, shape))
    with context(tenant=MAIL, conversation=PHONE, actor=CARD):
        error = failure_of(send, PHONE, TEXT)
    check_error(error)
    check_log(caplog)
    assert isinstance(error, GuardrailsError)
    assert error.control == "Raise"
    if not after:
        assert sends.entered == 0
        assert error.sent is False


@shapes
def test_g3_a_checks_reason_is_masked(shape: str) -> None:
    @check
    def never(message: Any) -> Any:
        return Deny(f"says {message.text}")

    for guard in (Guard(never, mask()), Guard(mask(), never), Guard(mask()).extend(never)):
        error = failure_of(guard(getattr(Sends(), shape)), PHONE, TEXT)
        assert isinstance(error, Denied)
        check_error(error)
        assert len(error.reason) <= 80


@shapes
@pytest.mark.parametrize("kind", [ValueError, KeyError, TimeoutError, UnicodeError, RuntimeError, KeyboardInterrupt])
def test_g3_a_sends_failure_passes_through_frames_that_hold_no_text(shape: str, kind: type[BaseException]) -> None:
    error = kind(TEXT)
    record = Record()
    guard = Guard(record, Look(), mask(), Change())
    with context(tenant=MAIL, conversation=PHONE, actor=CARD):
        raised = failure_of(guard(getattr(Sends(error=error), shape)), PHONE, TEXT)
    assert raised is error
    check_frames(error)
    clean(repr(record.outcomes), "the outcome")


@shapes
def test_g3_the_real_controls_keep_no_text_behind_the_frames_of_a_failing_send(shape: str, tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, durability="os", keys=Keys.ephemeral())
    with Guard(audit, RateLimit("9/minute", per="recipient"), mask(), channel="sms") as guard:
        check_frames(failure_of(guard(getattr(Sends(error=ValueError(TEXT)), shape)), "+1 212 555 0101", TEXT))


@shapes
def test_g3_a_guardrails_error_out_of_a_send_passes_through_clean_frames(shape: str) -> None:
    inner = Guard(Raise(ValueError(TEXT)), mask())(Sends().function)

    def send(to: str, body: str) -> Any:
        return inner(to, body)

    check_error(failure_of(Guard(mask())(send), PHONE, TEXT))
    error = failure_of(Guard(mask(), Look())(getattr(Sends(error=Unavailable("x")), shape)), PHONE, TEXT)
    check_frames(error)


class Key:
    """As an object that nobody knows, and that shows its text."""

    def __repr__(self) -> str:
        return TEXT


ARGUMENTS: Mapping[str, tuple[Any, Any, Any]] = {
    "recipient of a wrong type": ({MAIL: PHONE}, TEXT, None),
    "recipients of wrong types": ([MAIL, 5], TEXT, None),
    "recipient bytes": (MAIL.encode(), TEXT, None),
    "recipient that is an object": (Key(), TEXT, None),
    "tenant of a wrong type": (PHONE, TEXT, [MAIL]),
    "unknown object": (PHONE, {MAIL: Key(), "t": TEXT}, None),
    "set": (PHONE, {TEXT}, None),
    "unknown below": (PHONE, [TEXT, {PHONE: {MAIL: {CARD}}}], None),
    "too long": (PHONE, TEXT * 100, None),
    "too many": (PHONE, [TEXT] * 40, None),
    "too deep": (PHONE, [[[[[[[[[[[[TEXT]]]]]]]]]]]], None),
    "too many recipients": ([PHONE] * 30, TEXT, None),
    "id too long": (PHONE, TEXT, MAIL * 30),
    "no text": (PHONE, {}, None),
    "bytes": (PHONE, TEXT.encode(), None),
    "number": (PHONE, 12125550173, None),
    "exhausting": (PHONE, [TEXT] * 100, None),
    "bad pieces": (PHONE, [TEXT, TEXT.encode()], None),
}
SMALL = Caps(
    text_characters=2_000, parts=20, depth=8, values=30, recipients=20, argument_stream_characters=500, id_characters=40
)


@shapes
@pytest.mark.parametrize("case", ARGUMENTS)
def test_g3_arguments_that_cannot_be_bound_are_refused_without_repeating_them(
    shape: str, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    to, body, tenant = ARGUMENTS[case]
    sends = Sends()
    record = Record()
    guard = Guard(record, mask(), strict=True, caps=SMALL)
    send = guard(text="body.*" if case == "no text" else "body", tenant="id")(getattr(sends, shape))
    with context(tenant="t"):
        error = failure_of(send, to, iter(body) if case in ("exhausting", "bad pieces") else body, tenant)
    check_error(error)
    check_log(caplog)
    for refusal in record.refusals:
        check_error(refusal)
    assert sends.entered == 0


@shapes
@pytest.mark.parametrize("document", ["{" + TEXT, TEXT, f'{{"{MAIL}": 1, "{MAIL}": 2}}', f'{{"a": "{TEXT}", "b": NaN}}'])
def test_g3_a_document_that_cannot_be_read_is_refused_without_repeating_it(shape: str, document: str) -> None:
    for body in (document, document.encode(), document.encode() + b"\xff"):
        check_error(failure_of(Guard(mask())(text="body|json")(getattr(Sends(), shape)), PHONE, body))


@shapes
def test_g3_a_call_that_does_not_fit_shows_nothing(shape: str) -> None:
    error = failure_of(Guard(mask())(getattr(Sends(), shape)), PHONE, TEXT, "t", TEXT)
    assert isinstance(error, TypeError)
    clean(f"{error}", "the TypeError")
    check_frames(error)


class BadStep(Intent):
    """A door step that breaks somewhere."""

    def __init__(self, record: Record, at: str) -> None:
        super().__init__(record)
        self.at = at

    async def commit(self, sealed: Any, peers: Any, io: Any, /) -> None:
        await super().commit(sealed, peers, io)
        if self.at == "commit":
            raise ValueError(TEXT)
        if self.at == "deny":
            raise RateLimited(TEXT, limit=TEXT)

    async def undo(self, io: Any, /) -> None:
        raise ValueError(TEXT)

    def settle(self, outcome: Any, /) -> None:
        if self.at == "settle":
            raise ValueError(TEXT)


class BadRecord(Record):
    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        call.at_door(BadStep(self, self.at))
        return await forward(call)


@shapes
@pytest.mark.parametrize("at", ["commit", "deny"])
def test_g3_a_door_step_that_breaks_leaks_nothing_also_when_undo_breaks_too(
    shape: str, at: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sends = Sends()
    check_error(failure_of(Guard(BadRecord(at), mask())(getattr(sends, shape)), PHONE, TEXT))
    check_log(caplog)
    assert sends.entered == 0


def test_g3_a_settle_that_breaks_is_logged_without_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert Guard(BadRecord("settle"), mask())(Sends().function)(PHONE, TEXT) == "done"
    check_log(caplog)
    assert any(record.levelno >= logging.ERROR for record in caplog.records)


class BadMask(Hide):
    """A mask that crashes with the text in its hands."""

    def __init__(self, *, when: str) -> None:
        self.when = when

    def mask(self, text: str, /) -> Any:
        if self.when == "always" or (self.when == "reason" and text.startswith("shouts")):
            raise ValueError(text)
        return text if self.when == "wrong" else mask().mask(text)


@shapes
@pytest.mark.parametrize("when", ["always", "wrong"])
def test_g3_a_mask_that_crashes_leaks_nothing(shape: str, when: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sends = Sends()
    check_error(failure_of(Guard(Record(), BadMask(when=when))(getattr(sends, shape)), PHONE, TEXT))
    check_log(caplog)
    assert sends.entered == 0


@shapes
def test_g3_a_reason_that_cannot_be_masked_is_withheld(shape: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = failure_of(Guard(Raise(Shouted()), BadMask(when="reason"))(getattr(Sends(), shape)), PHONE, TEXT)
    assert isinstance(error, Denied)
    clean(f"{error} {error!r} {error.args}", "the reason")
    check_log(caplog)


class Spill:
    """A filter that crashes with the text in its hands."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.held = ""

    def feed(self, chunk: str, /) -> str:
        self.held += chunk
        if self.at == "feed":
            raise ValueError(TEXT)
        if self.at == "deny":
            raise Denied(TEXT)
        return chunk

    def flush(self) -> str:
        raise ValueError(TEXT)


@pytest.mark.parametrize("shape", ["generator", "async_generator", "iterator", "async_iterator"])
@pytest.mark.parametrize("at", ["feed", "flush", "deny"])
def test_g3_a_filter_that_breaks_leaks_nothing(shape: str, at: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sends = Sends(reply=TEXT)
    error = failure_of(Guard(Record(), mask(), Filter(lambda: Spill(at)))(getattr(sends, shape)), PHONE, TEXT)
    check_error(error)
    check_log(caplog)


@pytest.mark.parametrize("shape", ["generator", "async_generator", "iterator", "async_iterator"])
def test_g3_a_stream_that_fails_holds_nothing_back_in_our_frames(shape: str) -> None:
    error = ValueError(TEXT)

    def send(to: str, body: str) -> Iterator[str]:
        yield f"Call {PHONE}, {MAIL}"
        raise error

    async def asend(to: str, body: str) -> AsyncIterator[str]:
        yield f"Call {PHONE}, {MAIL}"
        raise error

    def gives(to: str, body: str) -> Iterator[str]:
        return send(to, body)

    async def opens(to: str, body: str) -> AsyncIterator[str]:
        return asend(to, body)

    sends: dict[str, Any] = {
        "generator": send,
        "async_generator": asend,
        "iterator": gives,
        "async_iterator": opens,
    }
    raised = failure_of(Guard(Record(), mask(), Look())(sends[shape]), PHONE, TEXT)
    assert raised is error
    check_frames(error)


@shapes
@pytest.mark.parametrize("reply", [[TEXT], {TEXT: TEXT}, 12125550173, TEXT.encode(), Key()], ids=lambda r: type(r).__name__)
def test_g3_a_reply_that_is_withheld_shows_nowhere(shape: str, reply: Any) -> None:
    """A control answers with something that a streaming send cannot give, or a reply cannot be masked."""
    if shape in ("generator", "async_generator"):
        error = failure_of(Guard(Answer(reply), mask())(getattr(Sends(), shape)), PHONE, TEXT)
    elif shape in ("function", "coroutine") and isinstance(reply, Key):
        error = failure_of(Guard(mask())(reply="mask")(getattr(Sends(reply=reply), shape)), PHONE, TEXT)
    else:
        return
    check_error(error)


@shapes
def test_g3_a_refusal_after_the_send_withholds_the_reply_from_our_frames(shape: str) -> None:
    error = failure_of(
        Guard(Record(), mask(), Raise(Denied("no"), after=True))(getattr(Sends(reply=TEXT), shape)), PHONE, TEXT
    )
    check_error(error)


class Twice:
    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        await forward(call)
        return await forward(call)


class Forgets:
    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        return forward(call)


class Ignores:
    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        return None


class Mangles:
    def __init__(self, new: Any) -> None:
        self.new = new

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        return await forward(call.with_text(self.new))


class Sets:
    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        call.message = Message(TEXT, channel="sms")
        return await forward(call)


MISUSES: Mapping[str, Callable[[], Any]] = {
    "forwards twice": Twice,
    "forgets to await": Forgets,
    "neither forwards nor replies": Ignores,
    "sets an unknown part": lambda: Mangles({TEXT: TEXT}),
    "sets no text": lambda: Mangles({"body": 12125550173}),
    "sets an attribute": Sets,
    "returns something odd from a check": lambda: check(lambda message: [message.text]),  # type: ignore[arg-type]  # wrong on purpose
    "rewrites with something odd": lambda: check(lambda message: guardrails.Rewrite([message.text])),  # type: ignore[arg-type]
}


@shapes
@pytest.mark.parametrize("misuse", MISUSES)
@pytest.mark.parametrize("place", PLACES)
def test_g3_a_control_that_breaks_its_contract_leaks_nothing(
    shape: str, misuse: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = failure_of(guards(MISUSES[misuse]())[place](getattr(Sends(reply=TEXT), shape)), PHONE, TEXT)
    assert isinstance(error, ControlError)
    check_error(error)
    check_log(caplog)


@shapes
def test_g3_an_awaitable_from_a_plain_send_leaks_nothing(shape: str) -> None:
    async def later(text: str) -> str:
        return text

    def send(to: str, body: str) -> Any:
        return later(body)

    check_error(failure_of(Guard(mask())(send), PHONE, TEXT))
    assert shape


@shapes
@faults
def test_g3_a_monitored_control_that_crashes_shows_nothing_in_logs_or_notes(
    shape: str, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = Record()
    send = Guard(record, mask(), monitor(Raise(FAULTS[fault]())))(getattr(Sends(), shape))
    if inspect.iscoroutinefunction(send) or inspect.isasyncgenfunction(send):
        with asyncio.Runner(debug=True) as runner:
            runner.run(drain(send, PHONE, TEXT))
    else:
        value: Any = send(PHONE, TEXT)
        assert value == "done" or list(value)
    clean(repr(record.sealed), "what was sealed")
    clean(repr(record.outcomes), "the outcome")
    check_log(caplog)


def test_g3_reprs_show_no_text_ids_recipients_or_keys() -> None:
    record, look = Record(), Look()
    shown: list[str] = []

    class Shows:
        async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
            shown.append(f"{call!r} {call} {call.message!r} {io!r} {forward!r} {call.so_far()!r}")
            reply = await forward(call)
            shown.append(repr(reply))
            return reply

    def send(to: Any, body: Any, key: str, tenant: str, conversation: str) -> Iterator[str]:
        yield TEXT

    guard = Guard(record, Shows(), mask(), look, channel="llm")
    guarded = guard(message_key="key")(send)
    stream = guarded(PHONE, {MAIL: TEXT, "t": PHONE}, MAIL, MAIL, PHONE)
    shown.append(repr(stream))
    next(stream)
    shown += [repr(stream), repr(guard), repr(guard.extend(Shows())), repr(record.sealed), repr(look.messages)]
    list(stream)
    shown += [repr(stream), repr(record.outcomes)]
    decision = guard.preview(TEXT, recipient=PHONE, tenant=MAIL, conversation=PHONE)
    shown += [repr(decision), repr(decision.verdicts), repr(decision.findings)]
    refused = Guard(Raise(Denied(TEXT)), mask()).preview(TEXT, recipient=PHONE)
    shown += [repr(refused), repr(refused.refusal), repr(refused.verdicts)]
    shown += [repr(guardrails.Rewrite(TEXT)), repr(guardrails.Rewrite({"a": TEXT})), repr(Deny(TEXT))]
    for one in shown:
        clean(one, one[:40])
    assert len(shown) > 15


def test_g3_a_custom_binder_that_crashes_leaks_nothing() -> None:
    class Bad:
        def __init__(self, at: str) -> None:
            self.at = at

        def read(self, args: Any, kwargs: Any) -> Message:
            if self.at == "read":
                raise ValueError(args)
            return Message(args[1], channel="sms", recipients=args[0])

        def write(self, message: Message, args: Any, kwargs: Any) -> Any:
            raise ValueError(args)

    for at in ("read", "write"):
        check_error(failure_of(Guard(mask()).wrap(Sends().function, bind=Bad(at)), PHONE, TEXT))


def test_g3_run_and_preview_leak_nothing() -> None:
    message = Message({"body": TEXT}, channel="sms", recipients=PHONE, tenant=MAIL, metadata={MAIL: TEXT})
    guard = Guard(Record(), mask(), Raise(ValueError(TEXT)))
    error = failure_of(lambda: guard.run(message, lambda sealed: None))
    check_error(error)
    decision = guard.preview(message)
    assert decision.refusal is not None
    check_error(decision.refusal)


def test_g3_a_caller_that_handles_an_exception_gets_no_more_chained_than_its_own() -> None:
    mine = KeyError("mine")
    try:
        raise mine
    except KeyError:
        error = failure_of(Guard(mask(), Raise(ValueError(TEXT)))(Sends().function), PHONE, TEXT)
    assert error.__context__ in (None, mine)
    assert error.__cause__ is None
    check_frames(error)
