# ruff: noqa: ARG002, ARG005 - controls and sends take what the contract gives them
"""What hostile programs found that use only what the documentation says."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from guardrails import AuditLog, Blocked, Call, Denied, Deny, Guard, MaskPII, Message, check, monitor
from guardrails.core.control import Forward, Io
from guardrails.errors import ConfigError, ControlError
from guardrails.testing import CapturingSink, RecordingSend, assert_never_sent, try_control
from tests.conftest import Run, at_once, on_asyncio

TO = "+12125550173"
MAIL = "ann@example.com"
CARD = "4111111111111111"


class After:
    """Does something to every reply."""

    name = "after"

    def __init__(self, act: Callable[[object], object]) -> None:
        self.act = act

    async def guard(self, call: Call, forward: Forward, io: Io) -> object:
        return self.act(await forward(call))


def sends(*returned: Any) -> Any:
    """A send that gives what it is told to."""
    return lambda to, body: returned[0]


def crash(_reply: object) -> object:
    raise ValueError(MAIL)


def other(_reply: object) -> object:
    return "other"


class Source:
    """A stream, sync and async, whose end is not a quiet one."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> str:
        return "chunk"

    def close(self) -> None:
        raise ValueError(MAIL)


class AsyncSource(Source):
    __next__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AsyncSource:
        return self

    async def __anext__(self) -> str:
        return "chunk"

    async def aclose(self) -> None:
        self.closing.set()
        self.close()


class HangingSource(AsyncSource):
    def close(self) -> None:
        pass

    async def aclose(self) -> None:
        self.closing.set()
        await asyncio.sleep(60)


class Shouting(str):
    """A str of somebody's own, as template engines have them: its arithmetic is not that of str."""

    __slots__ = ()

    def __add__(self, other: str) -> Shouting:
        return Shouting(str.__str__(self).upper() + other)

    def __radd__(self, other: str) -> Shouting:
        return Shouting(other + str.__str__(self).upper())

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False


def guarded(*controls: Any, **options: Any) -> tuple[Guard, CapturingSink]:
    sink = CapturingSink()
    return Guard(AuditLog(sink), MaskPII(names="off"), *controls, **{"channel": "sms", **options}), sink


def results(sink: CapturingSink) -> list[str]:
    return [record["result"] for record in sink.records if record["stage"] == "outcome"]


def test_g1_a_dropped_stream_whose_close_raises_still_has_its_outcome() -> None:
    guard, sink = guarded(After(crash))
    with guard, pytest.raises(ControlError, match="after") as caught:
        guard(lambda to, body: Source())(TO, "hello")
    assert caught.value.__context__ is None
    assert results(sink) == ["sent"]


def test_a_dropped_stream_whose_close_raises_does_not_change_what_a_control_replied() -> None:
    guard, sink = guarded(After(other))
    with guard:
        assert guard(sends(Source()))(TO, "hello") == "other"
    assert results(sink) == ["sent"]


@pytest.mark.parametrize("act", [crash, other])
def test_g1_a_dropped_async_stream_whose_aclose_raises_still_has_its_outcome(act: Any) -> None:
    guard, sink = guarded(After(act))

    @guard
    async def send(to: str, body: str) -> Any:
        return AsyncSource()

    with guard:
        if act is crash:
            with pytest.raises(ControlError, match="after"):
                on_asyncio(lambda: send(TO, "hello"))
        else:
            assert on_asyncio(lambda: send(TO, "hello")) == "other"
    assert results(sink) == ["sent"]


@pytest.mark.parametrize("act", [crash, other])
def test_g1_a_call_cancelled_while_a_dropped_stream_closes_still_has_its_outcome(act: Any) -> None:
    guard, sink = guarded(After(act))
    source = HangingSource()

    @guard
    async def send(to: str, body: str) -> Any:
        return source

    async def cancelled() -> None:
        task = asyncio.ensure_future(send(TO, "hello"))
        await source.closing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with guard:
        on_asyncio(cancelled)
    assert results(sink) == ["sent"]


def test_g3_chunks_of_a_str_subclass_are_masked_whatever_its_arithmetic() -> None:
    guard, _ = guarded(channel="llm")

    @guard
    def send(to: str, body: str) -> Iterator[str]:
        yield Shouting("Write to ann@exam")
        yield Shouting("ple.com today.")

    with guard:
        assert "".join(send(TO, "hello")) == "Write to <EMAIL_ADDRESS> today."


def test_g3_a_reply_that_says_it_equals_everything_is_masked() -> None:
    guard, _ = guarded(channel="llm")
    with guard:
        assert guard(lambda to, body: Shouting(MAIL))(TO, "hello") == "<EMAIL_ADDRESS>"


@pytest.mark.parametrize("stream", ["collect", "cut"])
def test_g3_pieces_of_a_str_subclass_are_masked_whatever_its_arithmetic(stream: str) -> None:
    guard, _ = guarded()
    sent: list[str] = []
    with guard:
        guard(stream=stream)(lambda to, body: sent.extend(body))(TO, iter([Shouting("ann@exam"), Shouting("ple.com")]))
    assert "".join(sent) == "<EMAIL_ADDRESS>"


@pytest.mark.parametrize(
    "reason",
    [
        " " * 1_270 + "4111 1111 1111 1111",
        CARD[:-1] + "\u200b" * 1_300 + CARD[-1],
        "x " * 40_000 + CARD,
        CARD + " " * 40_000,
    ],
)
def test_g3_a_long_reason_is_not_cut_within_something_personal(reason: str) -> None:
    @check
    def refuses(message: Message) -> Deny:
        return Deny(reason)

    guard, _ = guarded(refuses)
    with guard, pytest.raises(Denied) as caught:
        guard(lambda to, body: None)(TO, "hello")
    assert "4111" not in caught.value.reason
    assert "4111" not in str(caught.value)


def test_g3_a_number_in_a_refusal_is_personal_too() -> None:
    class Refused(Denied):
        def __init__(self) -> None:
            super().__init__("no")
            self.number = int(CARD)
            self.real = float(CARD)
            self.several = [int(CARD), 42]

    @check
    def refuses(message: Message) -> Deny:
        raise Refused

    guard, _ = guarded(refuses)
    with guard, pytest.raises(Refused) as caught:
        guard(lambda to, body: None)(TO, "hello")
    assert "4111" not in str(vars(caught.value))
    assert caught.value.several[1] == 42


def test_g11_a_text_argument_of_empty_pieces_without_end_is_denied() -> None:
    guard, sink = guarded()
    with guard, pytest.raises(Denied, match="pieces"):
        guard(lambda to, body: None)(TO, iter(lambda: "", None))
    assert results(sink) == []


@pytest.mark.parametrize("thrown", [KeyError, KeyError()])
def test_a_thrown_class_is_recorded_as_the_exception_that_it_is(thrown: Any) -> None:
    guard, sink = guarded()
    with guard, pytest.raises(KeyError):
        guard(sends(iter(["a"])))(TO, "hello").throw(thrown)
    assert [record["error_type"] for record in sink.records if record["stage"] == "outcome"] == ["KeyError"]


def test_what_cannot_be_thrown_leaves_the_stream_as_it_was() -> None:
    guard, _ = guarded()
    with guard:
        stream = guard(sends(iter(["a"])))(TO, "hello")
        with pytest.raises(TypeError, match="not str"):
            stream.throw("nothing")
        assert list(stream) == ["a"]


class Kept(dict[str, str]):
    def __copy__(self) -> Kept:
        return self


class KeptList(list[str]):
    def __copy__(self) -> KeptList:
        return self


@pytest.mark.parametrize("payload", [Kept(a=MAIL), KeptList([MAIL])])
def test_a_container_whose_copy_is_itself_is_denied_and_never_changed(payload: Any) -> None:
    guard, sink = guarded()
    with guard, pytest.raises(Denied, match="cannot be copied"):
        guard(lambda to, body: None)(TO, payload)
    assert MAIL in (payload.values() if isinstance(payload, dict) else payload)
    assert results(sink) == []


@pytest.mark.parametrize("payload", [{MAIL: "x"}, [{"a": {MAIL: "x"}}], {CARD: None}])
def test_g3_a_key_of_a_payload_is_looked_at_where_text_and_recipient_are_all_there_is(payload: Any) -> None:
    guard, sink = guarded()
    sent: list[Any] = []
    with guard, pytest.raises(Blocked):
        guard(lambda to, body: sent.append(body))(TO, payload)
    assert sent == []
    assert results(sink) == []


def test_g3_an_argument_is_looked_at_though_a_positional_parameter_has_its_name() -> None:
    guard, sink = guarded()

    @guard(text="body", recipient="to")
    def send(to: str, body: str, /, **more: str) -> None:
        raise AssertionError

    with guard:
        for name in ("to", "body", "self", "cls"):
            with pytest.raises(Blocked):
                send(TO, "hello", **{name: MAIL})
    assert results(sink) == []


def test_g3_an_argument_called_self_is_looked_at_where_the_send_is_nobodys_method() -> None:
    guard, _ = guarded()

    @guard
    def send(to: str, body: str, cls: str = "") -> None:
        raise AssertionError

    with guard, pytest.raises(Blocked):
        send(TO, "hello", MAIL)


@pytest.mark.parametrize("keywords", [{"body": MAIL}, {"to": TO, "body": MAIL, "other": MAIL}])
def test_g3_a_call_that_does_not_fit_leaves_no_frame_that_holds_its_arguments(keywords: dict[str, str]) -> None:
    guard, _ = guarded()

    @guard
    def send(to: str, body: str) -> None:
        raise AssertionError

    with guard, pytest.raises(TypeError) as caught:
        send(**keywords)
    files = [Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert all(file.name != "inspect.py" for file in files)


@pytest.mark.parametrize(
    ("text", "recipient", "payload"),
    [
        ("body", "body.to", {"to": TO, "words": [MAIL]}),
        ("body.*", "body.to", {"to": TO, "words": MAIL}),
        ("body", "body.to", {"to": [TO, "+12125550174"], "words": MAIL}),
        ("body|json", "body|json.to", f'{{"to": "{TO}", "words": "{MAIL}"}}'),
    ],
)
def test_a_recipient_that_stands_below_a_text_selector_is_still_the_recipient(
    text: str, recipient: str, payload: Any
) -> None:
    guard, _ = guarded()
    sent: list[Any] = []

    def send(body: Any) -> None:
        sent.append(body)

    with guard:
        guard.wrap(send, text=text, recipient=recipient)(payload)
    assert TO in str(sent)
    assert MAIL not in str(sent)
    assert "PHONE_NUMBER" not in str(sent)


class Session:
    """A stream that must be entered before it can be read, and left."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __enter__(self) -> Self:
        self.said.append("entered")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.said.append("left")

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__()

    def _word(self) -> str | None:
        if "entered" not in self.said:
            raise RuntimeError("not entered")
        self.said.append("read")
        return MAIL if self.said.count("read") == 1 else None


class Words(Session):
    def __iter__(self) -> Words:
        return self

    def __next__(self) -> str:
        if (word := self._word()) is None:
            raise StopIteration
        return word


class AsyncWords(Session):
    def __aiter__(self) -> AsyncWords:
        return self

    async def __anext__(self) -> str:
        if (word := self._word()) is None:
            raise StopAsyncIteration
        return word


def test_with_enters_and_leaves_what_the_stream_is_read_from() -> None:
    guard, sink = guarded(channel="llm")
    words = Words()
    with guard, guard(sends(words))(TO, "hello") as stream:
        assert list(stream) == ["<EMAIL_ADDRESS>"]
    assert words.said == ["entered", "read", "read", "left"]
    assert results(sink) == ["sent"]


def test_async_with_enters_and_leaves_what_the_stream_is_read_from(run: Run) -> None:
    guard, sink = guarded(channel="llm")
    words = AsyncWords()

    @guard
    async def send(to: str, body: str) -> Any:
        return words

    async def main() -> None:
        async with await send(TO, "hello") as stream:
            assert [chunk async for chunk in stream] == ["<EMAIL_ADDRESS>"]

    with guard:
        run(main)
    assert words.said == ["entered", "read", "read", "left"]
    assert results(sink) == ["sent"]


class Filtering:
    """Adds to the stream what is no filter."""

    name = "filtering"

    async def guard(self, call: Call, forward: Forward, io: Io) -> object:
        stream: Any = await forward(call)
        stream.add_filter(str.upper)
        return stream


def test_g10_what_is_no_filter_is_said_by_the_control_that_added_it() -> None:
    guard, sink = guarded(Filtering(), channel="llm")
    with guard, pytest.raises(ControlError, match=r"feed\(chunk\)") as caught:
        guard(sends(iter(["hello"])))(TO, "hello")
    assert caught.value.control == "filtering"
    assert results(sink) == ["sent"]


def test_a_run_of_what_is_no_message_says_what_to_give() -> None:
    guard, _ = guarded()
    no_message: Any = "hello"
    with guard, pytest.raises(ControlError, match=r"takes a guardrails\.Message"):
        guard.run(no_message, sends)


@pytest.mark.parametrize(
    ("control", "message"),
    [(lambda message: None, "x"), (After, "x"), (None, "x"), (monitor(After(crash)), "x"), (After(crash), 5)],
)
def test_a_trial_of_what_is_no_control_or_message_says_so(control: Any, message: Any) -> None:
    with pytest.raises(ConfigError, match="control"):
        try_control(control, message)


TO_MAIL = b"To: bob@example.org\r\n"
MIXED = TO_MAIL + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"


@pytest.mark.parametrize(
    "mail",
    [
        MIXED + b"Before ann@example.com\r\n--B\r\n\r\nhello\r\n--B--\r\nafter ann@example.com",
        MIXED + b"--B\r\nContent-Description: ann@example.com\r\nX-Note: ann@example.com\r\n\r\nhello\r\n--B--\r\n",
        TO_MAIL + b"Content-Description: ann@example.com\r\n\r\nhello",
        TO_MAIL + b"Parts: ann@example.com\r\nAttachments: ann@example.com\r\nAround: ann@example.com\r\n\r\nhello",
        MIXED
        + b"--B\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; ann@example.com\r\n\r\n"
        + b"Final-Recipient: rfc822; ann@example.com\r\n\r\n--B--\r\n",
        TO_MAIL + b"Content-Type: message/global\r\n\r\nSubject: ann@example.com\r\n\r\nhello",
    ],
)
def test_g3_no_words_of_an_email_stand_where_nobody_looks(mail: bytes) -> None:
    guard, _ = guarded(channel="email")
    sent: list[bytes] = []

    @guard(text="body|mime", recipient="to")
    def send(to: str, body: bytes) -> None:
        sent.append(body)

    with guard:
        send("bob@example.org", mail)
    assert MAIL.encode() not in sent[0]
    assert sent[0].count(b"<EMAIL_ADDRESS>") == mail.count(MAIL.encode())


@pytest.mark.parametrize("boundary", [b"", b"; boundary=Z"])
def test_g3_an_email_whose_parts_cannot_be_told_apart_is_denied(boundary: bytes) -> None:
    guard, _ = guarded(channel="email")
    mail = TO_MAIL + b"Content-Type: multipart/mixed" + boundary + b"\r\n\r\n--B\r\n\r\nann@example.com\r\n--B--\r\n"

    @guard(text="body|mime", recipient="to")
    def send(to: str, body: bytes) -> None:
        raise AssertionError

    with guard, pytest.raises(Denied, match="told apart"):
        send("bob@example.org", mail)


def test_a_preview_of_what_is_no_message_says_so() -> None:
    guard, _ = guarded()
    no_message: Any = 5
    with guard, pytest.raises(ConfigError, match="str or a Message"):
        guard.preview(no_message, recipient=TO)


def test_g3_several_threads_that_read_one_stream_get_masked_text() -> None:
    guard, sink = guarded(channel="llm")
    sent = ["Write to ann@example.com now. "] * 400
    out: list[str] = []
    failures: list[BaseException] = []

    def read(stream: Iterator[str]) -> None:
        try:
            out.extend(stream)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    with guard:
        stream = guard(sends(iter(sent)))(TO, "hello")
        at_once(*[lambda: read(stream)] * 8)
    assert failures == []
    assert not any(MAIL in chunk for chunk in out)
    assert sum(map(len, out)) == sum(len(one.replace(MAIL, "<EMAIL_ADDRESS>")) for one in sent)
    assert results(sink) == ["sent"]


class EitherWay(AsyncWords):
    """A stream that can be read sync and async."""

    def __iter__(self) -> EitherWay:
        return self

    def __next__(self) -> str:
        if (word := self._word()) is None:
            raise StopIteration
        return word


def test_what_can_be_read_either_way_is_read_as_its_send_is_called(run: Run) -> None:
    guard, _ = guarded(channel="llm")

    @guard
    async def send(to: str, body: str) -> Any:
        return EitherWay().__enter__()

    async def main() -> None:
        assert [chunk async for chunk in await send(TO, "hello")] == ["<EMAIL_ADDRESS>"]

    with guard:
        assert list(guard(sends(EitherWay().__enter__()))(TO, "hello")) == ["<EMAIL_ADDRESS>"]
        run(main)


def test_g3_a_number_that_python_does_not_write_out_is_no_crash_of_a_refusal() -> None:
    class Mine(Denied):
        """With a number of somebody's."""

    @check
    def refuses(_message: Message) -> None:
        error = Mine("no")
        error.__dict__["number"] = 10**5_000
        raise error

    send = RecordingSend()
    with pytest.raises(Mine, match="no") as raised:
        Guard(refuses, MaskPII(names="off"), channel="sms").wrap(send)("+12125550173", "hello")
    assert_never_sent(send)
    assert vars(raised.value)["number"] == "<int>"
