# ruff: noqa: ARG002, ARG005 - controls, steps and stand-ins take what the contract gives them
"""Finding every string below an argument and putting others back: exactly, and in copies."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import enum
import fractions
import types
import uuid
from collections import Counter, OrderedDict, UserDict, UserString, defaultdict, deque
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard
from guardrails.core.caps import Caps
from guardrails.core.payload import Walk, put, select
from guardrails.core.selectors import parse_selector
from guardrails.errors import Denied, GuardrailsError
from tests.core.doubles import Change, Look


def echo(body: Any) -> Any:
    return body


def through(body: Any, text: Any = "body", change: Any = str.upper) -> Any:
    return Guard(Change(change)).wrap(echo, text=text)(body)


def texts(body: Any, text: Any = "body") -> list[str]:
    look = Look()
    Guard(look).wrap(echo, text=text)(body)
    return list(look.last.parts.values())


class Point(NamedTuple):
    name: str
    note: str = "n"


class Typed(TypedDict):
    name: str


@dataclasses.dataclass
class Plain:
    name: str
    more: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str
    size: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", self.size + 1)


@dataclasses.dataclass(slots=True)
class Slotted:
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSlotted:
    name: str
    other: str = "o"


@dataclasses.dataclass
class Private:
    __secret: str  # pyright: ignore[reportGeneralTypeIssues]  # the point: a name that Python mangles

    def read(self) -> str:
        return self.__secret


@dataclasses.dataclass
class Computed:
    name: str
    later: str = dataclasses.field(init=False)
    given: dataclasses.InitVar[str] = "g"

    def __post_init__(self, given: str) -> None:
        self.later = given + self.name


@dataclasses.dataclass
class Greets:
    name: str

    @cached_property
    def greeting(self) -> str:
        return f"hello {self.name}"


@attrs.define
class AttrsSlotted:
    name: str


@attrs.frozen
class AttrsFrozen:
    name: str
    _hidden: str = "h"


@attrs.define(slots=False)
class AttrsDict:
    name: str


@attrs.define
class AttrsGreets:
    name: str

    @cached_property
    def greeting(self) -> str:
        return f"hello {self.name}"


class Model(pydantic.BaseModel):
    name: str


class FrozenModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)
    name: str


class ExtraModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    name: str


class AliasModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    name: str = pydantic.Field(alias="fullName")


class NestedModel(pydantic.BaseModel):
    models: list[Model]
    name: str = "n"


class GreetingModel(pydantic.BaseModel):
    name: str

    @pydantic.computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @cached_property
    def greeting(self) -> str:
        return f"hello {self.name}"


class StrictModel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(validate_assignment=True)
    name: str = pydantic.Field(max_length=3)


class RootModel(pydantic.RootModel[list[str]]):
    pass


@pydantic.dataclasses.dataclass
class PydanticData:
    name: str


class Colour(enum.StrEnum):
    RED = "red"


class Side(enum.Enum):
    LEFT = "left"


class Sub(str):
    __slots__ = ()


class Evil(str):
    """Shows another text to whoever asks nicely."""

    __slots__ = ()

    def __str__(self) -> str:
        return "harmless"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


CONTAINERS = [
    ({"name": "x"}, {"name": "X"}),
    (["x", "y"], ["X", "Y"]),
    (("x", "y"), ("X", "Y")),
    (OrderedDict([("b", "x"), ("a", "y")]), OrderedDict([("b", "X"), ("a", "Y")])),
    (defaultdict(str, {"a": "x"}), defaultdict(str, {"a": "X"})),
    (Point("x"), Point("X", "N")),
    (Typed(name="x"), Typed(name="X")),
    (types.SimpleNamespace(name="x", deep=["y"]), types.SimpleNamespace(name="X", deep=["Y"])),
    (Plain("x", ["y"]), Plain("X", ["Y"])),
    (Slotted("x"), Slotted("X")),
    (FrozenSlotted(name="x"), FrozenSlotted(name="X", other="O")),
    (AttrsSlotted("x"), AttrsSlotted("X")),
    (AttrsFrozen("x"), AttrsFrozen("X", "H")),
    (AttrsDict("x"), AttrsDict("X")),
    (Model(name="x"), Model(name="X")),
    (FrozenModel(name="x"), FrozenModel(name="X")),
    (ExtraModel(name="x", more="y"), ExtraModel(name="X", more="Y")),  # type: ignore[call-arg]  # that is the point
    (AliasModel(fullName="x"), AliasModel(fullName="X")),
    (NestedModel(models=[Model(name="x")]), NestedModel(models=[Model(name="X")], name="N")),
    (RootModel(["x"]), RootModel(["X"])),
    (PydanticData("x"), PydanticData("X")),
    ({"a": [{"b": ("x", Plain("y"))}]}, {"a": [{"b": ("X", Plain("Y"))}]}),
    ({1: "x", (2, 3): "y", None: "z"}, {1: "X", (2, 3): "Y", None: "Z"}),
]
IDS = [f"{number}-{type(before).__name__}" for number, (before, _) in enumerate(CONTAINERS)]


@pytest.mark.parametrize(("before", "after"), CONTAINERS, ids=IDS)
def test_every_string_below_is_replaced_in_a_copy(before: Any, after: Any) -> None:
    kept = copy.deepcopy(before)
    sent = through(before)
    assert after == sent
    assert type(after) is type(sent)
    assert kept == before, "the caller's object was changed"
    assert sent is not before


@pytest.mark.parametrize(("before", "after"), CONTAINERS, ids=IDS)
def test_an_unchanged_payload_is_the_same_object(before: Any, after: Any) -> None:
    assert through(before, change=str) is before
    assert after is through(after)


def test_containers_without_a_change_below_stay_the_same_objects() -> None:
    calm, loud = ["CALM"], ["loud"]
    body = {"calm": calm, "loud": loud}
    sent = through(body)
    assert sent["calm"] is calm
    assert sent["loud"] is not loud
    assert (body, loud) == ({"calm": ["CALM"], "loud": ["loud"]}, ["loud"])


def test_a_defaultdict_keeps_its_factory_and_gains_no_keys() -> None:
    sent = through(defaultdict(list, {"a": "x"}), text="body.*")
    assert sent.default_factory is list
    assert list(sent) == ["a"]


def test_a_selector_of_a_missing_key_adds_no_key_to_a_defaultdict() -> None:
    body = defaultdict(str, {"a": "x"})
    with pytest.raises(Denied):
        through(body, text="body.missing")
    assert list(body) == ["a"]


def test_post_init_is_not_run_again() -> None:
    body = Frozen("x")
    assert body.size == 1
    sent = through(body)
    assert (sent.name, sent.size) == ("X", 1)


def test_fields_outside_init_are_seen_and_kept() -> None:
    body = Computed("x")
    assert texts(body) == ["x", "gx"]
    sent = through(body)
    assert (sent.name, sent.later) == ("X", "GX")


def test_mangled_names_are_seen() -> None:
    assert through(Private("x")).read() == "X"


@pytest.mark.parametrize(
    "make", [Greets, AttrsGreets, lambda name: GreetingModel(name=name)], ids=["dataclass", "attrs", "pydantic"]
)
def test_g3_a_cached_property_does_not_carry_the_old_text_along(make: Any) -> None:
    body = make("secret")
    assert body.greeting == "hello secret"
    sent = through(body, text="body.name", change=lambda text: "masked")
    assert sent.name == "masked"
    assert sent.greeting == "hello masked"
    assert body.greeting == "hello secret"


def test_an_attrs_cached_property_is_not_computed_by_copying() -> None:
    computed: list[str] = []

    @attrs.define
    class Counts:
        name: str

        @cached_property
        def greeting(self) -> str:
            computed.append(self.name)
            return self.name

    through(Counts("x"))
    assert computed == []


def test_a_pydantic_copy_is_not_validated_again() -> None:
    assert through(StrictModel(name="abc"), change=lambda text: "<LONG>").name == "<LONG>"


def test_a_pydantic_model_keeps_what_was_set_and_its_private_attributes() -> None:
    class Keeps(pydantic.BaseModel):
        name: str = "d"
        other: str = "o"
        _note: str = pydantic.PrivateAttr("p")

    body = Keeps(name="x")
    body._note = "q"
    sent = through(body, text="body.name")
    assert sent._note == "q"
    assert "name" in sent.model_fields_set
    assert "other" not in sent.model_fields_set


def test_attributes_that_are_no_fields_come_along() -> None:
    body = Plain("x")
    body.note = "kept"  # type: ignore[attr-defined]  # not a field
    body.number = 3  # type: ignore[attr-defined]  # as above
    assert through(body, change=lambda text: text).note == "kept"
    sent = through(body)
    assert (sent.note, sent.number, body.note) == ("KEPT", 3, "kept")  # type: ignore[attr-defined]  # as above


@dataclasses.dataclass
class Letter:
    name: str
    greeting: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.greeting = f"Dear {self.name}"
        self.subject = f"For {self.name}"  # no field


def test_g3_a_text_that_was_made_of_others_and_is_no_field_is_seen() -> None:
    sent = through(Letter("ann"), change=lambda text: text.replace("ann", "<NAME>"))
    assert (sent.name, sent.greeting, sent.subject) == ("<NAME>", "Dear <NAME>", "For <NAME>")

    class Model(pydantic.BaseModel):
        name: str
        _greeting: str = pydantic.PrivateAttr()
        _number: int = pydantic.PrivateAttr(3)

        def model_post_init(self, _context: Any) -> None:
            self._greeting = f"Dear {self.name}"

    body = Model(name="ann")
    sent = through(body, change=lambda text: text.replace("ann", "<NAME>"))
    assert (sent.name, sent._greeting, sent._number, body._greeting) == ("<NAME>", "Dear <NAME>", 3, "Dear ann")
    assert sent.model_dump() == {"name": "<NAME>"}


def test_an_unset_slot_is_left_unset() -> None:
    body = object.__new__(Slotted)
    other = Plain("x")
    sent = through({"a": body, "b": other})
    assert not hasattr(sent["a"], "name")
    assert sent["b"].name == "X"


@pytest.mark.parametrize(
    "value",
    [5, 1.5, True, 2j, None, b"x", bytearray(b"x"), memoryview(b"x"), decimal.Decimal("1.5"), fractions.Fraction(1, 2)],
)
def test_numbers_none_and_bytes_are_left_alone_and_counted(value: Any) -> None:
    look = Look()
    body = {"n": value, "t": "x"}
    sent = Guard(look, Change())(text="body")(echo)(body)
    assert sent["n"] is value
    assert sent["t"] == "X"


@pytest.mark.parametrize("value", [5, 1.5, None, b"x", decimal.Decimal("1.5")])
def test_strict_denies_what_is_not_text(value: Any) -> None:
    with pytest.raises(Denied) as caught:
        Guard(strict=True)(text="body")(echo)({"n": value, "t": "x"})
    assert type(value).__name__.removesuffix("Type") in str(caught.value)


def test_strict_lets_text_pass() -> None:
    assert Guard(Change(), strict=True)(text="body")(echo)({"t": ["x"]}) == {"t": ["X"]}


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {"x"},
        frozenset({"x"}),
        deque(["x"]),
        UserDict(a="x"),
        UserString("x"),
        iter(["x"]),
        (c for c in "x"),
        range(3),
        datetime(2026, 1, 1, tzinfo=UTC),
        uuid.UUID(int=0),
        Path("x"),
        type,
        len,
        types.MappingProxyType({"a": "x"}),
        Side.LEFT,
        ValueError("x"),
        {}.keys(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_of_an_unknown_type_is_denied(value: Any) -> None:
    with pytest.raises(Denied) as caught:
        through({"a": "x", "b": value})
    assert caught.value.sent is False
    assert type(value).__name__ in str(caught.value)


def test_an_unknown_object_outside_the_selectors_is_nobodys_business() -> None:
    odd = object()
    sent = through({"a": "x", "b": odd}, text="body.a")
    assert sent["b"] is odd
    assert sent["a"] == "X"


def test_an_attribute_of_an_unknown_object_can_be_named() -> None:
    class Request:
        def __init__(self) -> None:
            self.note = "x"
            self.lock = object()

    class WithSlots:
        __slots__ = ("lock", "note")

        def __init__(self) -> None:
            self.note = "x"
            self.lock = object()

    for body in (Request(), WithSlots()):
        sent: Any = through(body, text="body.note")
        assert sent.note == "X"
        assert sent.lock is body.lock
        assert body.note == "x"


def test_a_property_of_an_unknown_object_is_not_run() -> None:
    class Request:
        @property
        def note(self) -> str:
            raise AssertionError

    with pytest.raises(Denied):
        through(Request(), text="body.note")


def test_a_dict_that_shows_something_else_than_it_holds_hides_no_text() -> None:
    class Multi(dict[str, Any]):
        """As MultiDict: lists inside, the first value outside."""

        def items(self) -> Any:
            return [(key, value[0]) for key, value in super().items()]

        def __getitem__(self, key: str) -> Any:
            return super().__getitem__(key)[0]

    body = Multi(a=["x", "secret"])
    try:
        sent = through(body, change=lambda text: text.replace("secret", "-"))
    except GuardrailsError as error:
        assert error.sent is False  # noqa: PT017 - to refuse it is right as well
    else:
        assert "secret" not in repr(list(dict.values(sent)))


def test_a_list_that_shows_something_else_than_it_holds_hides_no_text() -> None:
    class First(list[str]):
        def __iter__(self) -> Any:
            return iter(self[:1])

    try:
        sent = through(First(["x", "secret"]), change=lambda text: text.replace("secret", "-"))
    except GuardrailsError as error:
        assert error.sent is False  # noqa: PT017 - to refuse it is right as well
    else:
        assert "secret" not in sent[0:]


def test_subclasses_of_str_are_text() -> None:
    assert texts([Sub("a"), Colour.RED]) == ["a", "red"]
    assert through([Sub("a"), Colour.RED]) == ["A", "RED"]


def test_a_str_that_answers_differently_to_different_readers_is_read_as_what_it_is() -> None:
    assert texts(Evil("secret")) == ["secret"]
    sent = through(Evil("secret"), change=lambda text: "masked")
    assert type(sent) is str
    assert str.__str__(sent) == "masked"


def test_a_payload_that_holds_itself_is_denied() -> None:
    body: list[Any] = ["x"]
    body.append(body)
    with pytest.raises(Denied):
        through(body)


def test_one_object_in_two_places_is_replaced_in_both() -> None:
    shared = ["x"]
    sent = through([shared, shared])
    assert sent == [["X"], ["X"]]
    assert shared == ["x"]


def test_two_selectors_that_meet_see_the_text_once() -> None:
    look = Look()
    sent = Guard(look, Change())(text=["body.a", "body.*", "body"])(echo)({"a": "x", "b": "y"})
    assert sorted(look.last.parts.values()) == ["x", "y"]
    assert sent == {"a": "X", "b": "Y"}


def test_g3_a_path_never_repeats_a_key_that_a_caller_may_have_typed() -> None:
    look = Look()
    Guard(look)(text="body")(echo)(
        {"ann@example.com": "x", "+12125550173": {"4242 4242 4242 4242": "y"}, 'a"b': "z", "plain": "p"}
    )
    assert "ann@" not in repr(look.last)
    assert all("ann" not in path and "555" not in path and "4242" not in path for path in look.last.parts)
    assert sorted(look.last.parts.values()) == ["p", "x", "y", "z"]


def test_keys_that_would_give_the_same_path_keep_their_texts_apart() -> None:
    look = Look()
    body = {"a b": "1", "c d": "2", "#0": "3", "x": {"y": "4"}, "x.y": "5", "[#0]": "6"}
    sent = Guard(look, Change(lambda text: f"<{text}>"))(text="body")(echo)(body)
    assert sorted(look.last.parts.values()) == list("123456")
    assert sent == {"a b": "<1>", "c d": "<2>", "#0": "<3>", "x": {"y": "<4>"}, "x.y": "<5>", "[#0]": "<6>"}


def test_an_int_key_and_a_str_key_are_two_places() -> None:
    assert through({1: "a", "1": "b", True + 1: "c"}) == {1: "A", "1": "B", 2: "C"}


@pytest.mark.parametrize(
    ("text", "body", "found"),
    [
        ("body.a.b", {"a": {"b": "x", "c": "y"}}, ["x"]),
        ("body[*].t", [{"t": "x"}, {"t": "y"}, {"u": "z"}], ["x", "y"]),
        ("body.*", {"a": "x", "b": ["y", "z"]}, ["x", "y", "z"]),
        ("body[1]", ["x", "y"], ["y"]),
        ('body["a.b"]', {"a.b": "x", "a": {"b": "y"}}, ["x"]),
        ("body.name", Plain("x", ["y"]), ["x"]),
        ("body.name", Model(name="x"), ["x"]),
        ("body.name", AttrsFrozen("x"), ["x"]),
        ("body[*].name", (Plain("x"), {"name": "y"}, Model(name="z")), ["x", "y", "z"]),
        ("body.a[0].b", {"a": ({"b": "x"},)}, ["x"]),
        ("body.more", ExtraModel(name="x", more="y"), ["y"]),  # type: ignore[call-arg]  # that is the point
        ("body[0]", Point("x", "y"), ["x"]),
        ("body.name", Point("x", "y"), ["x"]),
    ],
)
def test_a_selector_finds_exactly_what_it_names(text: Any, body: Any, found: Any) -> None:
    assert sorted(texts(body, text)) == found


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("body.b", {"a": "x"}),
        ("body[5]", ["x"]),
        ("body[*].b", [{"a": "x"}]),
        ("body.*", {}),
        ("body[*]", []),
        ("body.a.b", {"a": None}),
        ("body.a", None),
        ("body[*]", None),
    ],
)
def test_a_call_in_which_no_selector_matched_is_denied(text: Any, body: Any) -> None:
    with pytest.raises(Denied) as caught:
        through(body, text=text)
    assert caught.value.sent is False
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("body[0]", {"a": "x"}),
        ("body[0]", Plain("x")),
        ("body[0]", 5),
        ("body.a", 5),
        ("body.a", ["x"]),
        ("body[*]", 5),
        ("body[*]", "secret text"),
        ("body.*", "x"),
    ],
)
def test_a_selector_that_cannot_apply_is_denied(text: Any, body: Any) -> None:
    with pytest.raises(Denied) as caught:
        through(body, text=text)
    assert "secret" not in str(caught.value)


def test_one_matching_selector_of_several_is_enough() -> None:
    look = Look()
    Guard(look)(text=["body.a", "body.b"])(echo)({"a": "x"})
    assert dict(look.last.parts) == {"body.a": "x"}


# -- against a naive model ---------------------------------------------------------------------------------------------

KEYS = st.text(max_size=4) | st.integers(0, 3) | st.sampled_from(["a", "b", "a.b", "[0]", "#0"])
LEAVES = (
    st.text(max_size=6) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.binary(max_size=3)
)


def _more(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return (
        st.lists(below, max_size=4)
        | st.lists(below, max_size=4).map(tuple)
        | st.dictionaries(KEYS, below, max_size=4)
        | st.dictionaries(KEYS, below, max_size=4).map(OrderedDict)
        | st.builds(Plain, below, st.lists(below, max_size=2))
        | st.builds(Point, below, below)
        | st.builds(lambda a, b: FrozenSlotted(name=a, other=b), below, below)
        | st.builds(AttrsFrozen, below)
        | st.builds(lambda a: types.SimpleNamespace(a=a), below)
        | st.builds(lambda a: Model.model_construct(name=a), below)
    )


PAYLOADS = st.recursive(LEAVES, _more, max_leaves=25)


def naive(value: Any, act: Any) -> Any:
    """The same payload with *act* done to every string, by the simplest means."""
    match value:
        case str():
            return act(value)
        case OrderedDict():
            return OrderedDict((key, naive(below, act)) for key, below in value.items())
        case dict():
            return {key: naive(below, act) for key, below in value.items()}
        case list():
            return [naive(below, act) for below in value]
        case Point():
            return Point(*(naive(below, act) for below in value))
        case tuple():
            return tuple(naive(below, act) for below in value)
        case Plain():
            return Plain(naive(value.name, act), naive(value.more, act))
        case FrozenSlotted():
            return FrozenSlotted(name=naive(value.name, act), other=naive(value.other, act))
        case AttrsFrozen():
            return AttrsFrozen(naive(value.name, act), naive(value._hidden, act))
        case types.SimpleNamespace():
            return types.SimpleNamespace(a=naive(value.a, act))
        case Model():
            return Model.model_construct(name=naive(value.name, act))
        case _:
            return value


@given(PAYLOADS)
def test_every_string_below_is_seen_exactly_once_and_put_back_where_it_was(payload: Any) -> None:
    expected: list[str] = []

    def keep(text: str) -> str:
        expected.append(text)
        return text

    naive(payload, keep)
    kept = copy.deepcopy(payload)
    look = Look()
    numbers = iter(range(10_000))
    changes: dict[str, str] = {}

    class Number:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            changes.update({path: f"{next(numbers)}:{text}" for path, text in call.message.parts.items()})
            return await forward(call.with_text(changes))

    sent = Guard(look, Number())(text="body")(echo)(payload)
    assert Counter(look.last.parts.values()) == Counter(expected)
    again = iter(range(10_000))
    assert repr(naive(payload, lambda text: f"{next(again)}:{text}")) == repr(sent)
    assert repr(kept) == repr(payload)


@given(PAYLOADS)
def test_a_payload_that_no_control_changes_is_the_same_object(payload: Any) -> None:
    assert Guard(Look())(text="body")(echo)(payload) is payload


# -- the functions themselves ------------------------------------------------------------------------------------------


def test_select_finds_values_of_any_type() -> None:
    assert select({"a": [1, {"b": 2}]}, parse_selector("x.a[1].b").steps) == [2]
    assert select(None, parse_selector("x.a").steps) == []


def test_put_of_nothing_below_is_the_text_itself() -> None:
    assert put("x", [((), "y")]) == "y"


def test_a_walk_counts_what_is_not_text() -> None:
    walk = Walk(Caps())
    walk.read("body", {"a": 1, "b": None, "c": b"", "d": 2, "odd key": "x"}, ())
    assert walk.unscanned == {"int": 2, "None": 1, "bytes": 1, "key": 1}
    assert walk.matched
