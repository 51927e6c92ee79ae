# ruff: noqa: ARG005 - controls, steps and stand-ins take what the contract gives them
"""The wrapper that takes a send's place: the same looks, the same exceptions, and no way around the guard."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import pickle
import traceback
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from guardrails import Deny, Guard, check
from guardrails.errors import ConfigError, ControlError, GuardrailsError
from tests.core.doubles import Change, Look, Record
from tests.core.test_shapes import LOOKS, Client, async_generator, coroutine, generator, hides, sync

OURS = str(__import__("guardrails").__path__[0])


def run(awaitable: Any) -> Any:
    async def main() -> Any:
        return await awaitable

    with asyncio.Runner(debug=True) as runner:
        return runner.run(main())


def drained(result: Any) -> Any:
    """What a call gives in the end, whatever its shape."""

    async def main(value: Any) -> Any:
        while inspect.isawaitable(value):
            value = await value
        if hasattr(value, "__anext__"):
            return [chunk async for chunk in value]
        return value

    if inspect.isawaitable(result) or hasattr(result, "__anext__"):
        result = run(main(result))
    return list(result) if hasattr(result, "__next__") else result


# -- looks -------------------------------------------------------------------------------------------------------------


def documented(to: str, body: str = "d", *more: int, key: Any = None, **rest: bool) -> list[str]:
    """What it does."""
    return [to, body]


documented.note = "kept"  # type: ignore[attr-defined]  # functions may carry anything


@pytest.mark.parametrize("send", [documented, *(row[1] for row in LOOKS)], ids=["documented", *(row[0] for row in LOOKS)])
def test_the_signature_is_the_sends(send: Any) -> None:
    wrapper = Guard()(text="body", recipient=None)(send)
    assert inspect.signature(send) == inspect.signature(wrapper)


@pytest.mark.parametrize("name", ["__module__", "__name__", "__qualname__", "__doc__", "__annotations__", "note"])
def test_name_doc_annotations_and_attributes_are_the_sends(name: Any) -> None:
    wrapper = Guard()(text="body")(documented)
    assert getattr(documented, name) == getattr(wrapper, name)


@pytest.mark.parametrize("name", ["__module__", "__name__", "__qualname__", "__doc__", "__annotations__"])
@pytest.mark.parametrize("method", ["sync", "coroutine", "generator", "async_generator", "of_class", "static"])
def test_a_bound_methods_looks_are_kept(name: Any, method: Any) -> None:
    send = getattr(Client(), method)
    assert getattr(send, name) == getattr(Guard()(send), name)


def test_type_hints_are_the_sends() -> None:
    assert typing.get_type_hints(documented) == typing.get_type_hints(Guard()(text="body")(documented))


def test_a_partial_and_a_callable_object_lend_their_names() -> None:
    assert Guard()(functools.partial(sync)).__name__ == "sync"
    wrapper: Any = Guard()(_Named())
    assert wrapper.__name__ == "_Named"
    assert wrapper.__doc__ == "A client."


class _Named:
    """A client."""

    def __call__(self, body: str) -> str:
        return body


def test_the_wrapper_has_annotations_of_its_own() -> None:
    wrapper = Guard()(text="body")(documented)
    wrapper.__annotations__["to"] = "changed"
    assert documented.__annotations__["to"] == "str"


@pytest.mark.parametrize("send", [documented, *(row[1] for row in LOOKS)], ids=["documented", *(row[0] for row in LOOKS)])
def test_g2_no_attribute_leads_around_the_guard(send: Any) -> None:
    wrapper: Any = Guard()(text="body", recipient=None)(send)
    assert not hasattr(wrapper, "__wrapped__")
    assert "__wrapped__" not in vars(wrapper)
    assert inspect.unwrap(wrapper) is wrapper
    raw = {id(send), id(getattr(send, "__wrapped__", send)), id(getattr(send, "__func__", send))}
    reachable = [*vars(wrapper).values(), wrapper.__defaults__, wrapper.__kwdefaults__, wrapper.__doc__]
    assert not raw & {id(value) for value in reachable}


def test_g2_no_attribute_that_a_decorator_left_on_the_send_leads_around_the_guard() -> None:
    # functools.wraps twice: the inner function hangs on the outer ones.
    send = hides(hides(documented))
    wrapper = Guard()(text="body")(send)
    assert not any(callable(value) for value in vars(wrapper).values())


# -- pickling ----------------------------------------------------------------------------------------------------------

guard = Guard(Change())


@guard
def module_send(body: str) -> str:
    return body


@guard
async def module_coroutine(body: str) -> str:
    return body


class Picklable:
    @guard
    def send(self, body: str) -> str:
        return body

    @guard
    @staticmethod
    def static(body: str) -> str:
        return body

    @guard
    @classmethod
    def of_class(cls, body: str) -> str:
        return body


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "send",
    [module_send, Picklable().send, Picklable.send, Picklable.static, Picklable.of_class],
    ids=["function", "method", "unbound", "static", "class"],
)
def test_module_functions_and_methods_pickle_guarded(send: Any, protocol: Any) -> None:
    if protocol < 4 and send is not module_send and not inspect.ismethod(send):
        pytest.skip("nested names need protocol 4")
    twin = pickle.loads(pickle.dumps(send, protocol))  # noqa: S301 - our own
    args = (Picklable(), "x") if send is Picklable.send else ("x",)
    assert twin(*args) == "X"


def test_a_guarded_coroutine_function_pickles() -> None:
    assert pickle.loads(pickle.dumps(module_coroutine)) is module_coroutine  # noqa: S301 - our own


def test_g2_a_wrapper_under_another_name_does_not_unpickle_as_the_raw_send() -> None:
    other = Guard(Change()).wrap(sync)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(other)


# -- every shape, guarded ----------------------------------------------------------------------------------------------

SHAPED = [(name, send) for name, send in LOOKS if "manager" not in name and "guarded" not in name]


@pytest.mark.parametrize("send", [row[1] for row in SHAPED], ids=[row[0] for row in SHAPED])
def test_g2_the_guard_stands_in_every_shape(send: Any) -> None:
    look, record = Look(), Record()
    plain = drained(send(body="x"))
    sent = drained(Guard(record, look, Change())(send)(body="x"))
    assert look.last.text == "x"
    assert record.intents == ["X"]
    assert record.results == ["sent"]
    assert type(plain) is type(sent)
    assert sent in ("X", ["X"])


@pytest.mark.parametrize("send", [row[1] for row in SHAPED], ids=[row[0] for row in SHAPED])
def test_guarding_twice_acts_twice(send: Any) -> None:
    look, inner = Look(), Look()
    twice = Guard(look, Change(lambda text: text + "1"))(Guard(inner, Change(lambda text: text + "2"))(send))
    assert drained(twice(body="x")) in ("x12", ["x12"], ["x", "1", "2"])
    assert (look.last.text, inner.last.text) == ("x", "x1")


def test_functools_wraps_around_a_wrapper_keeps_the_guard_and_its_shape() -> None:
    look = Look()
    guarded = Guard(look)(coroutine)

    @functools.wraps(guarded)
    def retried(*args: Any, **kwargs: Any) -> Any:
        return guarded(*args, **kwargs)

    outer = Look()
    assert drained(Guard(outer)(retried)("x")) == "x"
    assert (look.last.text, outer.last.text) == ("x", "x")


def test_a_context_manager_can_be_guarded() -> None:
    look = Look()

    @contextlib.contextmanager
    def session(body: str) -> Iterator[str]:
        yield body

    with Guard(look, Change())(session)("x") as body:
        assert body == "X"


def test_a_context_manager_around_a_guarded_generator() -> None:
    @contextlib.contextmanager
    @Guard(Change())
    def session(body: str) -> Iterator[str]:
        yield body

    with session("x") as body:
        assert body == "X"


# -- what comes back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply", [None, 0, "", "text", b"x", [], {}, object(), (1,), NotImplemented, ...], ids=lambda r: type(r).__name__
)
def test_whatever_a_send_returns_is_returned_as_the_same_object(reply: Any) -> None:
    assert Guard(Look())(lambda body: reply)("x") is reply

    async def send(body: str) -> Any:
        return reply

    assert run(Guard(Look())(send)("x")) is reply


def test_a_plain_send_that_returns_an_awaitable_is_a_control_error_that_names_the_remedy() -> None:
    record = Record()

    def send(body: str) -> Any:
        return coroutine(body)

    with pytest.raises(ControlError) as caught:
        Guard(record)(send)("x")
    assert 'shape="async"' in str(caught.value)
    assert caught.value.sent is None
    assert len(record.results) == 1


def test_with_the_remedy_it_works() -> None:
    def send(body: str) -> Awaitable[str]:
        return coroutine(body)

    assert run(Guard(Change()).wrap(send, shape="async")("x")) == "X"


def test_a_send_said_to_be_async_may_return_plainly() -> None:
    wrapped: Any = Guard(Change()).wrap(sync, shape="async")
    assert run(wrapped("x")) == "X"


def test_hidden_coroutines_can_be_awaited_later_and_as_tasks() -> None:
    look = Look()
    send = Guard(look)(hides(coroutine))

    async def main() -> Any:
        task = asyncio.create_task(send("x"))
        await asyncio.sleep(0)
        return await task

    assert run(main()) == "x"
    assert len(look.messages) == 1


def test_a_coroutine_send_runs_in_the_callers_task_and_thread() -> None:
    @Guard(Look())
    async def send(body: str) -> Any:
        return asyncio.current_task()

    async def main() -> Any:
        return await send("x") is asyncio.current_task()

    assert run(main())


# -- exceptions --------------------------------------------------------------------------------------------------------


class Odd(Exception):
    """An exception that cannot be made anew."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a, b)


ERRORS: list[BaseException] = [
    ValueError("x"),
    Odd(1, 2),
    KeyError("k"),
    TypeError("t"),
    TimeoutError(),
    OSError(5, "io"),
    LookupError(),
    ExceptionGroup("g", [ValueError("x")]),
    AssertionError(),
    StopIteration("s"),
    StopAsyncIteration("s"),
    KeyboardInterrupt(),
    SystemExit(3),
    GeneratorExit(),
    asyncio.CancelledError(),
    BaseExceptionGroup("g", [KeyboardInterrupt()]),
]


def raising(error: BaseException, shape: str) -> Callable[..., Any]:
    def plain(body: str) -> str:
        mine = "a local of the user's frame"
        del mine
        raise error

    async def awaited(body: str) -> str:
        raise error

    def generated(body: str) -> Iterator[str]:
        yield "first"
        raise error

    async def agenerated(body: str) -> AsyncIterator[str]:
        yield "first"
        raise error

    def iterated(body: str) -> Iterator[str]:
        return generated(body)

    async def aiterated(body: str) -> AsyncIterator[str]:
        return agenerated(body)

    return {
        "plain": plain,
        "awaited": awaited,
        "generated": generated,
        "agenerated": agenerated,
        "iterated": iterated,
        "aiterated": aiterated,
        "hidden": hides(awaited),
    }[shape]


SHAPES = ["plain", "awaited", "generated", "agenerated", "iterated", "aiterated", "hidden"]


async def _drain(send: Callable[..., Any]) -> None:
    value = send("x")
    while inspect.isawaitable(value):
        value = await value
    if hasattr(value, "__anext__"):
        async for _ in value:
            pass
    elif hasattr(value, "__next__"):
        for _ in value:
            pass


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_sends_own_exception_is_the_same_object_in_every_shape(error: Any, shape: Any) -> None:
    if isinstance(error, StopIteration | StopAsyncIteration):
        pytest.skip("has a test of its own")
    record = Record()
    coroutine_ = _drain(Guard(record, Look())(raising(error, shape)))
    with pytest.raises(type(error)) as caught:
        coroutine_.send(None)
    assert caught.value is error
    assert len(record.results) == 1
    assert record.outcomes[0].error_type == type(error).__name__
    error.__traceback__ = None


@pytest.mark.parametrize("shape", SHAPES)
def test_its_traceback_still_shows_the_users_frames_and_few_of_ours(shape: Any) -> None:
    error = ValueError("x")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its identity is asserted
        _drain(Guard(Look(), Change())(raising(error, shape))).send(None)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].filename == __file__
    assert frames[-1].line == "raise error"
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("cause", [None, KeyError("cause")])
def test_its_cause_and_context_are_the_users(cause: Any) -> None:
    def send(body: str) -> str:
        try:
            raise LookupError("context")  # noqa: TRY301 - its place is the point
        except LookupError:
            raise ValueError("x") from cause

    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its context is asserted
        Guard(Look())(send)("x")
    assert isinstance(caught.value.__context__, LookupError)
    assert caught.value.__cause__ is cause
    assert caught.value.__context__.__traceback__ is not None


def test_stop_iteration_out_of_a_plain_send_is_the_same_object() -> None:
    error = StopIteration("value")
    for wrap in (Guard(), Guard(Look(), Change()), Guard(Record(), Look())):
        with pytest.raises(StopIteration) as caught:
            wrap(raising(error, "plain"))("x")
        assert caught.value is error
    inner = Guard(Look())(raising(error, "plain"))
    with pytest.raises(StopIteration) as caught:
        Guard(Look())(inner)("x")
    assert caught.value is error


@pytest.mark.parametrize("shape", ["awaited", "generated", "agenerated", "iterated", "aiterated", "hidden"])
@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_stop_iterations_elsewhere_become_what_python_makes_of_them(shape: Any, kind: Any) -> None:
    def outcome(send: Callable[..., Any]) -> tuple[str, str]:
        try:
            _drain(send).send(None)
        except StopIteration:
            return "nothing", ""
        except BaseException as error:  # noqa: BLE001 - compared
            return type(error).__name__, type(error.__cause__).__name__
        return "paused", ""

    assert outcome(raising(kind("v"), shape)) == outcome(Guard(Look())(raising(kind("v"), shape)))


def test_stop_async_iteration_out_of_a_plain_send_is_the_same_object() -> None:
    error = StopAsyncIteration("v")
    with pytest.raises(StopAsyncIteration) as caught:
        Guard(Look())(raising(error, "plain"))("x")
    assert caught.value is error


def test_the_callers_exception_in_flight_stays_the_context() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, PT012 - its context is asserted
        try:
            raise KeyError("caller")  # noqa: TRY301 - its place is the point
        except KeyError:
            Guard(Look())(raising(ValueError("x"), "plain"))("x")
    assert isinstance(caught.value.__context__, KeyError)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ValueError(), "failed"),
        (TimeoutError(), "unknown"),
        (KeyboardInterrupt(), "unknown"),
        (asyncio.CancelledError(), "cancelled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_outcome_says_what_became_of_it(error: Any, result: Any, shape: Any) -> None:
    record = Record()
    with pytest.raises(type(error)):
        _drain(Guard(record)(raising(error, shape))).send(None)
    assert record.results == [result]


class Coded(Exception):
    def __init__(self, code: object) -> None:
        super().__init__("text")
        self.code = code


@pytest.mark.parametrize(
    ("code", "recorded"),
    [
        (21610, "21610"),
        (429, "429"),
        ("invalid_number", "invalid_number"),
        ("E-42", "E-42"),
        (True, None),
        (None, None),
        (1.5, None),
        ("a b", None),
        ("", None),
        ("x" * 33, None),
        ("+12125550173", None),
        ("ann@example.com", None),
        (12125550173, None),
        (4242424242424242, None),
        ("12125550173", None),
        ("212-555-0173", None),
        (-12125550173, None),
    ],
)
def test_g3_of_the_providers_code_only_an_identifier_is_recorded(code: Any, recorded: Any) -> None:
    record = Record()
    with pytest.raises(Coded):
        Guard(record)(raising(Coded(code), "plain"))("x")
    assert record.outcomes[0].error_code == recorded


def test_a_guardrails_error_out_of_a_send_is_the_same_object_and_says_unknown() -> None:
    error = ConfigError("inner")
    with pytest.raises(ConfigError) as caught:
        Guard(Look())(raising(error, "plain"))("x")
    assert caught.value is error
    assert caught.value.sent is None


def test_an_inner_refusal_reaches_the_caller_as_its_class() -> None:
    @check
    def never(message: Any) -> Any:
        return Deny("no")

    inner = Guard(never)(sync)
    with pytest.raises(GuardrailsError) as caught:
        Guard(Look())(inner)("x")
    assert type(caught.value).__name__ == "Denied"
    assert caught.value.control == "never"
    assert caught.value.sent is None


def test_generator_and_async_generator_wrappers_start_nothing_before_the_first_step() -> None:
    look = Look()
    Guard(look)(generator)("x").close()  # type: ignore[attr-defined]  # a generator, typed as an iterator
    stream: Any = Guard(look)(async_generator)("x")
    run(stream.aclose())
    assert look.messages == []
