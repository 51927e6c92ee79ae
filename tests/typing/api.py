"""
What type checkers see of the public names. Never executed: mypy and pyright check it.

One type for all shapes: a guarded send has the type of the send.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
from typing import Annotated, Any, assert_type

from guardrails import (
    Allow,
    Blocked,
    Call,
    Caps,
    Control,
    ControlError,
    Conversation,
    Decision,
    Defer,
    Deferred,
    Denied,
    Deny,
    Guard,
    GuardrailsError,
    Message,
    RateLimited,
    Recipient,
    Rewrite,
    Stream,
    Tenant,
    Text,
    check,
    context,
    monitor,
)
from guardrails.core.checks import Check
from guardrails.core.control import Forward, Io
from guardrails.core.stack import Monitored

guard = Guard(channel="sms", caps=Caps(parts=5))

# -- every shape keeps its type ------------------------------------------------------------------------------------------


@guard
def function(to: str, body: str) -> int:
    return len(to + body)


@guard
async def coroutine(to: str, body: str) -> int:
    return len(to + body)


@guard
def generator(to: str, body: str) -> Generator[str, None, int]:
    yield to + body
    return 1


@guard
async def async_generator(to: str, body: str) -> AsyncGenerator[str, None]:
    yield to + body


@guard
def iterator(to: str, body: str) -> Iterator[str]:
    return iter(to + body)


@guard
async def async_iterator(to: str, body: str) -> AsyncIterator[str]:
    return async_generator(to, body)


@guard(text=["subject", "body"], recipient="to", conversation="thread", tenant="org", message_key="key", reply="mask")
def with_options(to: str, subject: str, body: str = "", /, *, thread: int, org: str, key: bytes) -> dict[str, int]:
    return {to + subject + body + org + str(key): thread}


@guard(text="note", recipient=None, shape="sync", stream="cut", channel="email")
async def with_other_options(note: Annotated[str, Text], whom: Annotated[str, Recipient]) -> None: ...


def marked(note: Annotated[str, Text], thread: Annotated[str, Conversation], org: Annotated[str, Tenant]) -> None: ...


async def uses() -> None:
    assert_type(function("a", "b"), int)
    assert_type(function(to="a", body="b"), int)
    assert_type(await coroutine("a", "b"), int)
    started: Coroutine[Any, Any, int] = coroutine("a", "b")
    assert_type(await started, int)
    assert_type(generator("a", "b"), Generator[str, None, int])
    assert_type(async_generator("a", "b"), AsyncGenerator[str, None])
    assert_type(iterator("a", "b"), Iterator[str])
    assert_type(await async_iterator("a", "b"), AsyncIterator[str])
    assert_type(with_options("a", "s", thread=1, org="o", key=b"k"), dict[str, int])
    await with_other_options("n", "w")

    function("a", 5)  # type: ignore[arg-type]  # a wrong argument is an error behind the guard, too
    function("a")  # type: ignore[call-arg]  # and so is a missing one
    with_options("a", "s", thread=1, org="o")  # type: ignore[call-arg]


# -- methods -------------------------------------------------------------------------------------------------------------


class Client:
    @guard
    def send(self, to: str, body: str) -> int:
        return len(to + body)

    @staticmethod
    @guard
    def static(to: str, body: str) -> int:
        return len(to + body)

    @classmethod
    @guard
    def of_class(cls, to: str, body: str) -> int:
        return len(to + body)

    async def create(self, *, body: str, to: str | None = None) -> list[str]:
        return [body, to or ""]


class Poster:
    def __call__(self, body: str) -> bytes:
        return body.encode()


async def uses_methods(client: Client) -> None:
    assert_type(client.send("a", "b"), int)
    assert_type(Client.send(client, "a", "b"), int)
    assert_type(Client.static("a", "b"), int)
    assert_type(Client.of_class("a", "b"), int)
    wrapped = guard.wrap(client.create, text="body", recipient="to", reply="restore")
    assert_type(await wrapped(body="b"), list[str])
    await wrapped("b")  # type: ignore[call-arg]  # its text is a keyword
    assert_type(guard.wrap(Poster())("b"), bytes)
    later: Callable[[str], Awaitable[int]] = guard.wrap(_later, shape="async")
    assert_type(await later("x"), int)


def _later(body: str) -> Awaitable[int]:
    return _now(body)


async def _now(body: str) -> int:
    return len(body)


# -- messages ------------------------------------------------------------------------------------------------------------


def deliver(message: Message) -> float:
    return float(len(message.text))


async def adeliver(message: Message) -> float:
    return float(len(message.text))


async def uses_messages() -> None:
    message = Message({"subject": "s", "body": "b"}, channel="email", recipients=["a"], metadata={"k": 1})
    assert_type(message.text, str)
    assert_type(message.parts, Mapping[str, str])
    assert_type(message.recipients, tuple[str, ...])
    assert_type(message.recipient, str | None)
    assert_type(message.tenant, str | None)
    assert_type(message.metadata, Mapping[str, Any])
    assert_type(guard.run(message, deliver), float)
    assert_type(await guard.arun(message, adeliver), float)
    decision = guard.preview("text", recipient="a")
    assert_type(decision, Decision)
    assert_type(decision.allowed, bool)
    assert_type(decision.text, str | None)
    assert_type(decision.retry_after, float | None)
    assert_type(decision.refusal, GuardrailsError | None)
    assert_type(await guard.apreview(message), Decision)
    with context(tenant="t", conversation="c", actor="a"), guard as opened:
        assert_type(opened, Guard)
    message.channel = "sms"  # type: ignore[misc]  # frozen


# -- controls ------------------------------------------------------------------------------------------------------------


class Mine:
    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        assert_type(call.message, Message)
        assert_type(call.layer, str)
        assert_type(call.dry_run, bool)
        assert_type(call.with_text("x"), Call)
        await io.sleep(0)
        assert_type(io.monotonic(), float)
        assert_type(await io.ask(blocking=lambda: 5), int)
        reply = await forward(call.with_text({"body": "x"}))
        if isinstance(reply, Stream):
            reply.on_close(_closed)
            reply.add_filter(Shout())
        return reply


class Shout:
    def feed(self, chunk: str, /) -> str:
        return chunk.upper()

    def flush(self) -> str:
        return ""


def _closed(error: BaseException | None) -> None: ...


@check
def plain(message: Message) -> Deny | None:
    return Deny("too long") if len(message.text) > 5 else None


@check
def rewrites(message: Message) -> str:
    return message.text.upper()


@check(name="later", blocking=True, deadline_seconds=1)
def later(message: Message) -> Allow | Rewrite | Deny | Defer | str | None:
    return Rewrite({"body": message.text})


@check
async def asks(message: Message) -> Defer | None:
    return Defer(5) if message.tenant is None else None


@check  # type: ignore[arg-type]  # a check answers with a verdict
def wrong(message: Message) -> int:
    return 5


def uses_controls() -> None:
    assert_type(plain, Check)
    assert_type(later, Check)
    assert_type(asks, Check)
    control: Control = Mine()
    assert_type(monitor(control), Monitored)
    assert_type(Guard(control, plain, monitor(rewrites), later), Guard)
    assert_type(guard.extend(Mine(), asks), Guard)
    Guard(object())  # type: ignore[arg-type]  # not a control
    guard.close()


def uses_errors(error: GuardrailsError) -> None:
    assert_type(error.sent, bool | None)
    assert_type(error.control, str | None)
    assert_type(error.where, str | None)
    assert_type(error.record_id, str | None)
    if isinstance(error, RateLimited):
        assert_type(error.retry_after, float | None)
        assert_type(error.limit, str | None)
    elif isinstance(error, Blocked):
        assert_type(error.findings, dict[str, int])
    elif isinstance(error, Deferred | Denied):
        assert_type(error.reason, str)
    elif isinstance(error, ControlError):
        raise error
