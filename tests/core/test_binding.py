# ruff: noqa: ARG002 - controls, steps and stand-ins take what the contract gives them
"""From the arguments of a call to a message and back, for every way to declare and to pass a parameter."""

from __future__ import annotations

import functools
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard, Message, context
from guardrails.core.caps import Caps
from guardrails.errors import ConfigError, ControlError, Denied, GuardrailsError
from tests.core.doubles import Change, Look, Record

Call = tuple[tuple[Any, ...], dict[str, Any]]


def function(source: str) -> Any:
    """A function with any parameters; it returns them."""
    space: dict[str, Any] = {}
    exec(f"def send({source}):\n    return dict(locals())", space)  # noqa: S102 - our own source
    return space["send"]


def call(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


# Every way to take `body`, with calls and what the send shall get.
WAYS: list[tuple[str, str, Call, dict[str, Any]]] = [
    ("body", "body", call("x"), {"body": "X"}),
    ("body", "body", call(body="x"), {"body": "X"}),
    ("to, body", "body", call("a", "x"), {"to": "a", "body": "X"}),
    ("to, body", "body", call(body="x", to="a"), {"to": "a", "body": "X"}),
    ("to, body", "body", call("a", body="x"), {"to": "a", "body": "X"}),
    ("body, /", "body", call("x"), {"body": "X"}),
    ("a, body, /, b", "body", call("a", "x", "b"), {"a": "a", "body": "X", "b": "b"}),
    ("a, body, /, b", "body", call("a", "x", b="b"), {"a": "a", "body": "X", "b": "b"}),
    ("*, body", "body", call(body="x"), {"body": "X"}),
    ("a, *, body, b=1", "body", call("a", body="x"), {"a": "a", "body": "X", "b": 1}),
    ("body='d'", "body", call(), {"body": "D"}),
    ("body='d', /", "body", call(), {"body": "D"}),
    ("a='a', body='d', /", "body", call(), {"a": "a", "body": "D"}),
    ("a='a', body='d', /, c='c'", "body", call(c="e"), {"a": "a", "body": "D", "c": "e"}),
    ("a='a', body='d', *rest", "body", call(), {"a": "a", "body": "D", "rest": ()}),
    ("a='a', body='d', *rest, k='k'", "body", call("b"), {"a": "b", "body": "D", "rest": (), "k": "k"}),
    ("*, body='d'", "body", call(), {"body": "D"}),
    ("a, body='d'", "body", call("a"), {"a": "a", "body": "D"}),
    ("*body", "body", call("x", "y"), {"body": ("X", "Y")}),
    ("a, *body", "body", call("a", "x", "y"), {"a": "a", "body": ("X", "Y")}),
    ("a, *body", "body[1]", call("a", "x", "y"), {"a": "a", "body": ("x", "Y")}),
    ("a, *body, k=1", "body[*].t", call("a", {"t": "x"}, {"u": "y"}), {"a": "a", "body": ({"t": "X"}, {"u": "y"}), "k": 1}),
    ("**body", "body", call(a="x", b="y"), {"body": {"a": "X", "b": "Y"}}),
    ("**rest", "body", call(body="x", b="y"), {"rest": {"body": "X", "b": "y"}}),
    ("**rest", "rest.body", call(body="x", b="y"), {"rest": {"body": "X", "b": "y"}}),
    ("**rest", "body.t", call(body={"t": "x"}), {"rest": {"body": {"t": "X"}}}),
    ("a, **rest", "body", call("a", body="x"), {"a": "a", "rest": {"body": "X"}}),
    ("body, /, **rest", "body", call("x", body="y"), {"body": "X", "rest": {"body": "y"}}),
    ("body, /, **rest", "rest", call("x", body="y"), {"body": "x", "rest": {"body": "Y"}}),
    ("self, body", "body", call("me", "x"), {"self": "me", "body": "X"}),
    ("args, kwargs, body", "body", call("a", "k", "x"), {"args": "a", "kwargs": "k", "body": "X"}),
    (
        "send, reading, message, plan",
        "message",
        call("s", "r", "x", "p"),
        {"send": "s", "reading": "r", "message": "X", "plan": "p"},
    ),
    ("body, *args, **kwargs", "body", call("x", 1, k=2), {"body": "X", "args": (1,), "kwargs": {"k": 2}}),
]


@pytest.mark.parametrize(("source", "text", "given_call", "got"), WAYS, ids=lambda value: str(value)[:40])
def test_a_changed_text_reaches_the_send_in_its_own_place(source: Any, text: Any, given_call: Any, got: Any) -> None:
    args, kwargs = given_call
    sent = Guard(Change()).wrap(function(source), text=text, recipient=None)(*args, **kwargs)
    assert got == sent


@pytest.mark.parametrize(("source", "text", "given_call", "got"), WAYS, ids=lambda value: str(value)[:40])
def test_an_unchanged_call_arrives_as_it_was_made(source: Any, text: Any, given_call: Any, got: Any) -> None:
    args, kwargs = given_call
    send = function(source)
    assert send(*args, **kwargs) == Guard(Look()).wrap(send, text=text, recipient=None)(*args, **kwargs)
    assert got


@pytest.mark.parametrize(("source", "text", "given_call", "got"), WAYS, ids=lambda value: str(value)[:40])
def test_a_second_call_of_the_same_shape_reads_its_own_arguments(source: Any, text: Any, given_call: Any, got: Any) -> None:
    args, kwargs = given_call
    look = Look()
    send = Guard(look, Change()).wrap(function(source), text=text, recipient=None)
    first, second = send(*args, **kwargs), send(*args, **kwargs)
    assert first == second == got
    assert look.messages[0] == look.messages[1]


def test_call_shapes_do_not_mix() -> None:
    look = Look()
    send = Guard(look, Change()).wrap(function("to, body, note='n'"), text=["body", "note"])
    for args, kwargs in (
        call("a", "b"),
        call("a", "b", "c"),
        call("a", body="b"),
        call(to="a", body="b"),
        call("a", note="z", body="b"),
        call("a", body="b", note="z"),
    ):
        sent = send(*args, **kwargs)
        bound = function("to, body, note='n'")(*args, **kwargs)
        assert sent == {"to": "a", "body": bound["body"].upper(), "note": bound["note"].upper()}
        assert dict(look.last.parts) == {"body": bound["body"], "note": bound["note"]}
        assert look.last.recipients == ("a",)


def test_more_call_shapes_than_are_remembered_bind_all_the_same() -> None:
    send = Guard(Change()).wrap(function("body, **rest"), text="body")
    for number in range(400):
        assert send(body="x", **{f"k{number}": 1})["body"] == "X"


@pytest.mark.parametrize(
    "wrong",
    [call(), call("a"), call("a", "b", "c"), call("a", "b", body="c"), call("a", nope="b"), call("a", "b", nope="c")],
)
def test_a_call_that_does_not_fit_is_the_type_error_that_python_raises(wrong: Any) -> None:
    args, kwargs = wrong
    sent: list[object] = []

    def send(to: str, body: str) -> None:
        sent.append(body)

    with pytest.raises(TypeError) as caught:
        Guard(Change())(send)(*args, **kwargs)
    assert not isinstance(caught.value, GuardrailsError)
    assert sent == []


def test_a_type_error_of_the_send_is_not_taken_for_a_wrong_call() -> None:
    def send(body: str) -> None:
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        Guard(Change())(send)("x")


# -- methods -----------------------------------------------------------------------------------------------------------

guard = Guard(Change())


class Client:
    name = "client"

    @guard
    def method(self, to: str, body: str) -> Any:
        return self.name, to, body

    @guard
    @classmethod
    def outer_class(cls, to: str, body: str) -> Any:
        return cls.name, to, body

    @classmethod
    @guard
    def inner_class(cls, to: str, body: str) -> Any:
        return cls.name, to, body

    @guard
    @staticmethod
    def outer_static(to: str, body: str) -> Any:
        return "client", to, body

    @staticmethod
    @guard
    def inner_static(to: str, body: str) -> Any:
        return "client", to, body

    @guard
    async def coroutine(self, to: str, body: str) -> Any:
        return self.name, to, body

    @guard
    def __call__(self, to: str, body: str) -> Any:
        return self.name, to, body

    def raw(self, to: str, body: str) -> Any:
        return self.name, to, body


@pytest.mark.parametrize("name", ["method", "outer_class", "inner_class", "outer_static", "inner_static", "__call__"])
def test_methods_of_every_kind_are_guarded_on_the_instance(name: Any) -> None:
    assert getattr(Client(), name)("a", "x") == ("client", "a", "X")
    assert getattr(Client(), name)(to="a", body="x") == ("client", "a", "X")


@pytest.mark.parametrize("name", ["outer_class", "inner_class", "outer_static", "inner_static"])
def test_class_and_static_methods_are_guarded_on_the_class(name: Any) -> None:
    assert getattr(Client, name)("a", "x") == ("client", "a", "X")


def test_a_method_is_guarded_when_it_is_called_through_its_class() -> None:
    assert Client.method(Client(), "a", "x") == ("client", "a", "X")


def test_a_subclass_inherits_the_guard() -> None:
    class Special(Client):
        name = "special"

    assert Special().method("a", "x") == ("special", "a", "X")
    assert Special.outer_class("a", "x") == ("special", "a", "X")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Client().raw,
        lambda: functools.partial(Client().raw),
        lambda: functools.partial(Client().raw, to="a"),
    ],
)
def test_bound_methods_and_partials_are_guarded(make: Any) -> None:
    send = Guard(Change()).wrap(make(), text="body", recipient="to")
    assert send(to="a", body="x") == ("client", "a", "X")


def test_what_a_partial_has_bound_is_bound() -> None:
    look = Look()
    send = Guard(look, Change()).wrap(functools.partial(Client().raw, "a"), text="body", recipient=None)
    assert send("x") == ("client", "a", "X")
    keyword: Any = Guard(look, Change()).wrap(
        functools.partial(Client().raw, to="a", body="x"), text="body", recipient="to"
    )
    assert keyword() == ("client", "a", "X")
    assert look.last.recipients == ("a",)


def test_a_partialmethod_is_guarded_or_refused() -> None:
    class Part:
        def base(self, to: str, body: str) -> Any:
            return to, body

        part = functools.partialmethod(base, "a")

    send = Guard(Change()).wrap(Part().part, text="body")
    assert send("x") == ("a", "X")


# -- recipients and ids ------------------------------------------------------------------------------------------------


class Sub(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        (("a", "b"), ("a", "b")),
        (None, ()),
        ([], ()),
        (Sub("a"), ("a",)),
        ([Sub("a")], ("a",)),
        (["a", "a"], ("a", "a")),
    ],
)
def test_one_str_is_one_recipient_and_a_list_is_several(value: Any, people: Any) -> None:
    look = Look()
    Guard(look)(function("to, body"))(value, "x")
    assert people == look.last.recipients
    assert all(type(person) is str for person in look.last.recipients)


@pytest.mark.parametrize(
    "value", [5, 1.5, b"a", {"a"}, {"a": 1}, object(), ["a", 5], ["a", None], [["a"]], iter(["a"]), True]
)
def test_a_recipient_of_another_type_is_a_control_error_and_nothing_is_sent(value: Any) -> None:
    sent: list[object] = []

    def send(to: Any, body: str) -> None:
        sent.append(to)

    with pytest.raises(ControlError) as caught:
        Guard(Look())(send)(value, "x")
    assert caught.value.sent is False
    assert "recipient" in str(caught.value)
    assert "'to'" in str(caught.value)
    assert sent == []


def test_recipients_of_several_selectors_and_places_are_collected_in_order() -> None:
    look = Look()
    send = Guard(look)(text="body", recipient=["to", "cc[*].phone"])(function("to, cc, body"))
    send(["a", "b"], [{"phone": "c"}, {"phone": "d"}, {}], "x")
    assert look.last.recipients == ("a", "b", "c", "d")


def test_the_recipient_is_never_rewritten() -> None:
    assert Guard(Change())(function("to, body"))("ann", "x") == {"to": "ann", "body": "X"}


@pytest.mark.parametrize("role", ["conversation", "tenant", "message_key"])
@pytest.mark.parametrize(
    ("value", "text"), [("c-1", "c-1"), (7, "7"), (uuid.UUID(int=1), str(uuid.UUID(int=1))), (Sub("s"), "s")]
)
def test_ids_are_text_numbers_or_uuids(role: Any, value: Any, text: Any) -> None:
    record = Record()
    options: dict[str, Any] = {role: "which"}
    Guard(record)(text="body", **options)(function("which, body"))(value, "x")
    sealed = record.sealed[0]
    assert text == (sealed.message_key if role == "message_key" else getattr(sealed.message, role))


@pytest.mark.parametrize("role", ["conversation", "tenant", "message_key"])
@pytest.mark.parametrize("value", [True, 1.5, b"x", ["x"], {"a": 1}, object()])
def test_an_id_of_another_type_is_a_control_error(role: Any, value: Any) -> None:
    options: dict[str, Any] = {role: "which"}
    with pytest.raises(ControlError) as caught:
        Guard(Look())(text="body", **options)(function("which, body"))(value, "x")
    assert caught.value.sent is False
    assert role in str(caught.value)


def test_ids_inside_payloads_are_found() -> None:
    look = Look()
    send = Guard(look)(text="m.body", recipient="m.to", conversation='m["thread.id"]', tenant="m.org.id")(function("m"))
    send({"body": "x", "to": "a", "thread.id": 5, "org": {"id": "t"}})
    assert (look.last.recipients, look.last.conversation, look.last.tenant) == (("a",), "5", "t")


def test_the_context_fills_what_the_arguments_leave_out() -> None:
    look = Look()
    send = Guard(look)(function("to, body"))
    with context(tenant="t", conversation="c", actor="a"):
        send("x", "y")
    assert (look.last.tenant, look.last.conversation, look.last.actor) == ("t", "c", "a")
    send("x", "y")
    assert (look.last.tenant, look.last.conversation, look.last.actor) == (None, None, None)


def test_channel_and_direction_come_from_guard_and_decoration() -> None:
    look = Look()
    guard = Guard(look, channel="sms", direction="inbound")
    guard(function("body"))("x")
    assert (look.last.channel, look.last.direction) == ("sms", "inbound")
    guard(channel="email")(function("body"))("x")
    assert (look.last.channel, look.last.direction) == ("email", "inbound")


# -- a custom binder ---------------------------------------------------------------------------------------------------


class Frame:
    """Binds one bytes frame: recipient, a zero byte, text."""

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Message:
        to, text = args[0].decode().split("\0")
        return Message(text, channel="pager", recipients=to)

    def write(self, message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        return (f"{message.recipient}\0{message.text}".encode(),), kwargs


def frame(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("binder", [Frame, Frame()])
def test_a_binder_reads_and_writes(binder: Any) -> None:
    look = Look()
    assert Guard(look, Change()).wrap(frame, bind=binder)(b"ann\0hello") == b"ann\0HELLO"
    assert (look.last.channel, look.last.recipients) == ("pager", ("ann",))


@pytest.mark.parametrize("role", ["text", "recipient", "conversation", "tenant", "message_key"])
def test_a_binder_beside_a_selector_is_a_config_error(role: Any) -> None:
    options: dict[str, Any] = {role: "data"}
    with pytest.raises(ConfigError) as caught:
        Guard().wrap(frame, bind=Frame(), **options)
    assert role in str(caught.value)


@pytest.mark.parametrize("binder", [object(), 5, "text", dict])
def test_a_binder_without_read_and_write_is_a_config_error(binder: Any) -> None:
    with pytest.raises(ConfigError):
        Guard().wrap(frame, bind=binder)


class Broken(Frame):
    def __init__(self, *, read: Any = None, write: Any = None) -> None:
        self.reads, self.writes = read, write

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Message:
        return super().read(args, kwargs) if self.reads is None else self.reads()

    def write(self, message: Message, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        return super().write(message, args, kwargs) if self.writes is None else self.writes()


def crash() -> None:
    raise ValueError("+1 212 555 0173")


@pytest.mark.parametrize(
    "binder",
    [
        Broken(read=lambda: "text"),
        Broken(read=lambda: None),
        Broken(read=crash),
        Broken(write=lambda: None),
        Broken(write=lambda: ([], {})),
        Broken(write=lambda: ((), None)),
        Broken(write=crash),
    ],
)
def test_g10_a_binder_that_breaks_refuses_the_message(binder: Any) -> None:
    sent: list[object] = []
    with pytest.raises(ControlError) as caught:
        Guard(Change()).wrap(sent.append, bind=binder)(b"ann\0hello")
    assert caught.value.sent is False
    assert "555" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert sent == []


def test_a_binder_gives_a_message_with_the_contexts_ids() -> None:
    look = Look()
    with context(tenant="t"):
        Guard(look).wrap(frame, bind=Frame())(b"ann\0hello")
    assert look.last.tenant == "t"


def test_g11_a_binders_message_keeps_the_caps() -> None:
    with pytest.raises(Denied):
        Guard(caps=Caps(text_characters=4)).wrap(frame, bind=Frame())(b"ann\0hello")


# -- any signature, any call -------------------------------------------------------------------------------------------


@st.composite
def signatures(draw: st.DrawFn) -> tuple[str, Call]:
    """A signature with one parameter `body`, and a call that fits it."""
    names = [f"p{number}" for number in range(draw(st.integers(0, 4)))]
    names.insert(draw(st.integers(0, len(names))), "body")
    slash = draw(st.integers(0, len(names)))
    star = draw(st.integers(slash, len(names)))
    optional = draw(st.integers(0, len(names)))
    shown: list[str] = []
    args: list[str] = []
    kwargs: dict[str, str] = {}
    by_position = True
    for number, name in enumerate(names):
        if number == star and star < len(names):
            shown.append("*")
            by_position = False
        has_default = number >= optional
        shown.append(f"{name}='d-{name}'" if has_default else name)
        if number == slash - 1:
            shown.append("/")
        if has_default and draw(st.booleans()):
            by_position = False
            continue
        if by_position and (number < slash or draw(st.booleans())):
            args.append(f"v-{name}")
        elif number >= slash:
            by_position = False
            kwargs[name] = f"v-{name}"
    kwargs = dict(draw(st.permutations(list(kwargs.items()))))
    return ", ".join(shown), (tuple(args), kwargs)


@given(signatures())
def test_whatever_the_signature_and_the_call_only_the_text_changes(case: Any) -> None:
    source, (args, kwargs) = case
    send = function(source)
    try:
        plain = send(*args, **kwargs)
    except TypeError:
        return
    look = Look()
    sent = Guard(look, Change(lambda text: f"<{text}>")).wrap(send, text="body", recipient=None)(*args, **kwargs)
    assert sent == {**plain, "body": f"<{plain['body']}>"}
    assert dict(look.last.parts) == {"body": plain["body"]}
