# ruff: noqa: ARG002 - controls, steps and stand-ins take what the contract gives them
"""Text arguments that arrive in pieces: collected first, or masked while the send consumes them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard
from guardrails.core.caps import Caps
from guardrails.errors import ConfigError, ControlError, Denied
from tests.core.doubles import SECRET, Change, Hide, Look, Record, Words, hide

pytestmark = pytest.mark.anyio
streams = pytest.mark.parametrize("stream", ["collect", "cut"])


async def pieces(*chunks: Any) -> AsyncIterator[Any]:
    for chunk in chunks:
        await anyio.lowlevel.checkpoint()
        yield chunk


class Consumer:
    """Sends that read their text to its end."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.kinds: list[str] = []

    def sync(self, body: Any) -> str:
        self.kinds.append(type(body).__name__)
        for piece in body:
            self.got.append(piece)
        return "done"

    async def coroutine(self, body: Any) -> str:
        if hasattr(body, "__anext__"):
            async for piece in body:
                self.got.append(piece)
        else:
            self.sync(body)
        return "done"

    def generator(self, body: Any) -> Iterator[str]:
        for piece in body:
            self.got.append(piece)
            yield piece

    async def async_generator(self, body: Any) -> AsyncIterator[str]:
        async for piece in body:
            self.got.append(piece)
            yield piece

    @property
    def text(self) -> str:
        return "".join(self.got)


@streams
@pytest.mark.parametrize(
    "make", [lambda *c: iter(c), lambda *c: (x for x in c), lambda *c: map(str, c)], ids=["iter", "generator", "map"]
)
def test_pieces_of_text_reach_a_sync_send_masked(stream: str, make: Callable[..., Any]) -> None:
    consumer, record = Consumer(), Record()
    send = Guard(record, Hide())(stream=stream)(consumer.sync)
    assert send(make("a sec", "ret ", "b")) == "done"
    assert consumer.text == f"a {SECRET} b"
    assert record.results == ["sent"]


@streams
@pytest.mark.parametrize("make", [pieces, lambda *c: iter(c)], ids=["async", "sync"])
async def test_pieces_of_text_reach_an_async_send_masked(stream: str, make: Callable[..., Any]) -> None:
    consumer, record = Consumer(), Record()
    assert await Guard(record, Hide())(stream=stream)(consumer.coroutine)(make("a sec", "ret ", "b")) == "done"
    assert consumer.text == f"a {SECRET} b"
    assert record.results == ["sent"]


@streams
def test_pieces_reach_a_generator_masked(stream: str) -> None:
    consumer, record = Consumer(), Record()
    out = "".join(Guard(record, Hide())(stream=stream)(consumer.generator)(iter(["a sec", "ret b"])))
    assert consumer.text == out == f"a {SECRET} b"
    assert record.results == ["sent"]


@streams
async def test_pieces_reach_an_async_generator_masked(stream: str) -> None:
    consumer, record = Consumer(), Record()
    send = Guard(record, Hide())(stream=stream)(consumer.async_generator)
    out = "".join([piece async for piece in send(pieces("a sec", "ret b"))])
    assert consumer.text == out == f"a {SECRET} b"
    assert record.results == ["sent"]


def test_controls_see_the_collected_text_and_what_they_change_goes_out() -> None:
    look, consumer = Look(), Consumer()
    Guard(look, Change())(consumer.sync)(iter(["a", "b"]))
    assert dict(look.last.parts) == {"body": "ab"}
    assert consumer.text == "AB"


def test_pieces_beside_other_texts() -> None:
    look = Look()

    def send(subject: Any, body: Any, note: Any = "n") -> Any:
        return subject, "".join(body), note

    guarded = Guard(look, Change())(text=["subject", "body", "note"])(send)
    assert guarded("s", iter("ab")) == ("S", "AB", "N")
    assert list(look.last.parts) == ["subject", "body", "note"]


def test_an_iterator_gives_an_iterator_and_a_list_a_list() -> None:
    consumer = Consumer()
    send = Guard(Change())(consumer.sync)
    send(iter(["a"]))
    send(["b"])
    assert consumer.kinds[1] == "list"
    assert "".join(consumer.got) == "AB"


def test_g11_collected_text_stops_at_the_cap() -> None:
    for cap, text, fits in ((4, "abcd", True), (4, "abcde", False)):
        consumer = Consumer()
        send = Guard(caps=Caps(argument_stream_characters=cap))(consumer.sync)
        if fits:
            send(iter(text))
            assert consumer.text == text
        else:
            with pytest.raises(Denied) as caught:
                send(iter(text))
            assert caught.value.sent is False
            assert consumer.got == []


def test_g11_the_default_cap_is_64_kib_and_an_endless_iterator_is_denied() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield "x" * 1000

    with pytest.raises(Denied):
        Guard()(Consumer().sync)(endless())
    consumer = Consumer()
    Guard()(consumer.sync)(iter(["x" * 65_536]))
    assert len(consumer.text) == 65_536
    with pytest.raises(Denied):
        Guard()(Consumer().sync)(iter(["x" * 65_537]))


async def test_g11_an_endless_async_iterator_is_denied_without_a_warning() -> None:
    async def endless() -> AsyncIterator[str]:
        while True:
            await anyio.lowlevel.checkpoint()
            yield "x" * 1000

    source = endless()
    with pytest.raises(Denied):
        await Guard()(Consumer().coroutine)(source)
    await source.aclose()  # type: ignore[attr-defined]  # an async generator, typed as an iterator


def test_g11_several_collected_texts_keep_the_cap_of_one_message() -> None:
    def send(text: Any, body: Any) -> None: ...

    guarded = Guard(caps=Caps(text_characters=5, argument_stream_characters=4))(text=["text", "body"])(send)
    guarded(iter("ab"), iter("abc"))
    with pytest.raises(Denied):
        guarded(iter("abc"), iter("abc"))


@streams
@pytest.mark.parametrize("piece", [5, b"x", None, ["x"], object()], ids=["int", "bytes", "None", "list", "object"])
def test_a_piece_that_is_no_text_is_a_control_error(stream: str, piece: Any) -> None:
    consumer = Consumer()
    with pytest.raises(ControlError) as caught:
        Guard(Record(), Hide())(stream=stream)(consumer.sync)(iter(["a secret ", piece, "b"]))
    assert "str" in str(caught.value)
    assert caught.value.sent is (False if stream == "collect" else None)
    assert "secret" not in consumer.text


def test_an_async_iterator_for_a_sync_send_is_a_control_error() -> None:
    consumer = Consumer()
    source = pieces("a")
    with pytest.raises(ControlError) as caught:
        Guard()(consumer.sync)(source)
    assert caught.value.sent is False
    assert consumer.got == []


def test_an_iterator_that_fails_while_it_is_collected_fails_with_its_own_exception_and_nothing_is_sent() -> None:
    error = ValueError("x")

    def fails() -> Iterator[str]:
        yield "a"
        raise error

    consumer, record = Consumer(), Record()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its identity is asserted
        Guard(record)(consumer.sync)(fails())
    assert caught.value is error
    assert consumer.got == []
    assert (record.intents, record.outcomes) == ([], [])


def test_an_iterator_that_fails_while_the_send_consumes_it_fails_the_send_with_its_own_exception() -> None:
    error = ValueError("x")

    def fails() -> Iterator[str]:
        yield "a "
        raise error

    record = Record()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its identity is asserted
        Guard(record, Hide())(stream="cut")(Consumer().sync)(fails())
    assert caught.value is error
    assert record.results == ["failed"]


class Blocks(Words):
    """Refuses the word "bad"."""

    def feed(self, chunk: str, /) -> str:
        if "bad" in chunk:
            raise Denied("it says secret things")
        return super().feed(chunk)


class Block(Hide):
    def filter(self) -> Words:
        return Blocks()


def swallowing(body: Any) -> str:
    got = []
    try:
        for piece in body:
            got.append(piece)  # noqa: PERF402 - up to the block
    except Denied:
        return "swallowed"
    return "done"


@pytest.mark.parametrize("swallows", [False, True])
def test_g2_a_block_ends_a_cut_send_with_denied_whatever_the_send_makes_of_it(swallows: bool) -> None:  # noqa: FBT001 - a parameter of the test
    record, consumer = Record(), Consumer()
    send = Guard(record, Block())(stream="cut")(swallowing if swallows else consumer.sync)
    with pytest.raises(Denied) as caught:
        send(iter(["good ", "and ", "bad ", "rest"]))
    assert caught.value.control == "hide"
    assert caught.value.sent is None
    assert "secret" not in caught.value.reason
    assert record.results == ["cut"]
    assert record.outcomes[0].released_characters == len("good and ")


def test_g2_a_blocked_iterator_gives_nothing_more() -> None:
    got: list[str] = []

    def stubborn(body: Any) -> str:
        for _ in range(10):
            try:
                got.append(next(body))
            except (Denied, StopIteration):
                continue
        return "done"

    with pytest.raises(Denied):
        Guard(Block())(stream="cut")(stubborn)(iter(["good ", "bad ", "more ", "and more "]))
    assert got == ["good "]


def test_g2_a_generator_that_swallows_a_block_still_ends_with_denied() -> None:
    record = Record()

    def send(body: Any) -> Iterator[str]:
        try:
            yield from body
        except Denied:
            yield "swallowed"

    with pytest.raises(Denied):
        list(Guard(record, Block())(stream="cut")(send)(iter(["good ", "bad "])))
    assert record.results == ["cut"]


async def test_g2_a_block_ends_an_async_cut_send() -> None:
    record, consumer = Record(), Consumer()
    with pytest.raises(Denied):
        await Guard(record, Block())(stream="cut")(consumer.coroutine)(pieces("good ", "bad ", "more"))
    assert consumer.got == ["good "]
    assert record.results == ["cut"]
    assert record.outcomes[0].released_characters == 5


async def test_g2_an_async_send_that_swallows_a_block_still_ends_with_denied() -> None:
    async def send(body: Any) -> str:
        try:
            async for _ in body:
                pass
        except Denied:
            return "swallowed"
        return "done"

    with pytest.raises(Denied):
        await Guard(Block())(stream="cut")(send)(pieces("good ", "bad "))


def test_g10_a_filter_that_crashes_ends_a_cut_send_with_a_control_error() -> None:
    class Crashes(Words):
        def feed(self, chunk: str, /) -> str:
            raise ValueError(chunk)

    class Crash(Hide):
        def filter(self) -> Words:
            return Crashes()

    record, consumer = Record(), Consumer()
    with pytest.raises(ControlError) as caught:
        Guard(record, Crash())(stream="cut")(consumer.sync)(iter(["+1 212 555 0173"]))
    assert "555" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert consumer.got == []
    assert record.results == ["cut"]


def test_g10_a_filter_that_gives_no_text_lets_nothing_out() -> None:
    class Gives(Words):
        def feed(self, chunk: str, /) -> str:
            return None  # type: ignore[return-value]  # wrong on purpose

    class Give(Hide):
        def filter(self) -> Words:
            return Gives()

    consumer = Consumer()
    with pytest.raises(ControlError):
        Guard(Give())(stream="cut")(consumer.sync)(iter(["a"]))
    assert consumer.got == []


def test_cut_counts_what_it_released() -> None:
    record = Record()
    Guard(record, Hide())(stream="cut")(Consumer().sync)(iter(["a secret ", "b"]))
    assert record.outcomes[0].released_characters in (None, len(f"a {SECRET} b"))


def test_cut_with_a_selector_inside_the_argument_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        Guard()(text="body.text", stream="cut")(Consumer().sync)


def test_cut_of_a_plain_text_is_masked_as_ever() -> None:
    consumer = Consumer()
    Guard(Hide())(stream="cut")(consumer.sync)("a secret")
    assert consumer.text == f"a {SECRET}"


def test_a_send_may_leave_the_rest_of_a_cut_text() -> None:
    record = Record()

    def send(body: Any) -> Any:
        return next(body)

    assert Guard(record, Hide())(stream="cut")(send)(iter(["a ", "b "])) == "a "
    assert record.results == ["sent"]


@given(st.lists(st.text(alphabet="secrt \n", max_size=9), max_size=8))
def test_g4_collected_or_cut_the_send_gets_the_mask_of_the_whole(chunks: list[str]) -> None:
    for stream in ("collect", "cut"):
        consumer = Consumer()
        Guard(Hide())(stream=stream)(consumer.sync)(iter(chunks))
        assert consumer.text == hide("".join(chunks))


def test_asyncio_in_debug_mode_sees_nothing_left_over() -> None:
    async def main() -> None:
        consumer = Consumer()
        for stream in ("collect", "cut"):
            send = Guard(Hide(), caps=Caps(argument_stream_characters=5))(stream=stream)(consumer.coroutine)
            source = pieces("abc", "def", "ghi")
            if stream == "collect":
                with pytest.raises(Denied):
                    await send(source)
            else:
                await send(source)
            await source.aclose()  # type: ignore[attr-defined]  # an async generator, typed as an iterator

    with asyncio.Runner(debug=True) as runner:
        runner.run(main())
    assert inspect.iscoroutinefunction(main)
