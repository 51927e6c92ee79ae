"""`guardrails.context`: who a send is for, when its arguments do not say."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from guardrails import Guard, context
from guardrails.core.context import NOBODY, current
from guardrails.errors import ConfigError
from tests.core.doubles import Look


def ids(look: Look) -> tuple[str | None, str | None, str | None]:
    return look.last.tenant, look.last.conversation, look.last.actor


def test_inner_blocks_win_id_by_id_and_end() -> None:
    look = Look()

    @Guard(look)
    def send(body: str) -> None: ...

    with context(tenant="t", conversation="c"):
        with context(conversation="d", actor="a"):
            send("x")
            assert ids(look) == ("t", "d", "a")
        send("x")
        assert ids(look) == ("t", "c", None)
    send("x")
    assert ids(look) == (None, None, None)


def test_a_block_ends_also_with_an_exception() -> None:
    with pytest.raises(KeyError), context(tenant="t"):
        raise KeyError
    assert current.get() is NOBODY


@pytest.mark.parametrize("name", ["tenant", "conversation", "actor"])
@pytest.mark.parametrize("value", [5, b"x", ["x"], object(), True])
def test_an_id_that_is_no_str_is_a_config_error(name: Any, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError) as caught, context(**options):
        pass
    assert name in str(caught.value)


def test_it_takes_keywords_only() -> None:
    positional: Any = context
    with pytest.raises(TypeError):
        positional("t")


def test_as_a_decorator_it_names_ids_for_each_call() -> None:
    look = Look()
    send = Guard(look)(_send)

    @context(tenant="t")
    def work() -> None:
        send("x")

    work()
    work()
    assert ids(look) == ("t", None, None)


def _send(body: str) -> None: ...


def test_a_plain_thread_does_not_inherit_it() -> None:
    look = Look()
    send = Guard(look)(_send)
    with context(tenant="t"):
        thread = threading.Thread(target=send, args=("x",))
        thread.start()
        thread.join()
    assert ids(look) == (None, None, None)


def test_a_copied_context_carries_it() -> None:
    look = Look()
    send = Guard(look)(_send)
    with context(tenant="t"):
        copied = contextvars.copy_context()
    copied.run(send, "x")
    assert ids(look) == ("t", None, None)


def test_tasks_inherit_it_and_do_not_mix() -> None:
    look = Look()

    @Guard(look)
    async def send(body: str) -> None:
        await asyncio.sleep(0)

    async def work(tenant: str) -> None:
        with context(tenant=tenant):
            await asyncio.sleep(0)
            await send(tenant)

    async def main() -> None:
        await asyncio.gather(*(work(f"t{number}") for number in range(20)))

    with asyncio.Runner() as runner:
        runner.run(main())
    assert all(message.tenant == message.text for message in look.messages)
    assert len(look.messages) == 20


def test_coroutines_read_it_when_they_are_first_stepped() -> None:
    look = Look()

    @Guard(look)
    async def send(body: str) -> None: ...

    async def main() -> None:
        with context(tenant="made"):
            coroutine = send("x")
        with context(tenant="stepped"):
            await coroutine

    with asyncio.Runner() as runner:
        runner.run(main())
    assert ids(look) == ("stepped", None, None)


def test_generators_read_it_when_they_are_first_stepped() -> None:
    look = Look()

    @Guard(look)
    def send(body: str) -> Iterator[str]:
        yield body

    with context(tenant="made"):
        stream = send("x")
    with context(tenant="stepped"):
        assert list(stream) == ["x"]
    assert ids(look) == ("stepped", None, None)


def test_async_generators_read_it_when_they_are_first_stepped() -> None:
    look = Look()

    @Guard(look)
    async def send(body: str) -> AsyncIterator[str]:
        yield body

    async def main() -> None:
        with context(tenant="made"):
            stream = send("x")
        with context(tenant="stepped"):
            assert [chunk async for chunk in stream] == ["x"]

    with asyncio.Runner() as runner:
        runner.run(main())
    assert ids(look) == ("stepped", None, None)


def test_g3_the_ids_in_force_do_not_show_in_a_repr() -> None:
    with context(tenant="ann@example.com", conversation="+12125550173", actor="4242 4242 4242 4242"):
        shown = f"{current.get()!r} {contextvars.copy_context()!r}"
    assert "ann@" not in shown
    assert "555" not in shown
    assert "4242" not in shown
