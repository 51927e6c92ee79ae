"""
Finding text inside arguments, and putting other text back without touching the caller's objects.

Rules:
1. What a selector lands on is text, or a container whose every string below is text. Anything else is denied,
   except numbers, None and bytes, which are left alone and counted.
2. Copy on write: an unchanged value stays the same object; a changed one is a shallow copy, and so is every container
   above it. `__init__` and `__post_init__` are not run again; cached properties are forgotten.
3. A text's path never repeats what a caller may have typed: keys that do not look like field names appear by position.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from inspect import getattr_static
from numbers import Number
from types import MemberDescriptorType, SimpleNamespace
from typing import Any, Final, TypeAlias

from guardrails.core.caps import Caps
from guardrails.core.codecs import Texts, decode, encode
from guardrails.core.selectors import Decode, Every, Index, Key, Step
from guardrails.errors import Denied


@dataclass(frozen=True, slots=True)
class Item:
    """A key of a dict, whatever its type."""

    key: Any


Place: TypeAlias = tuple[Key | Index | Item | Decode, ...]

_FIELD_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NOT_TEXT: Final = (Number, bytes, bytearray, memoryview, type(None))


class Walk:
    """
    One reading of a call's arguments.

    Attributes:
        texts: Path to text.
        places: Path to (parameter, way from the argument to the text).
        unscanned: Type name to number of values under a selector that are not text.
        matched: Whether any selector landed on anything.
    """

    __slots__ = ("_caps", "_characters", "_taken", "_values", "matched", "places", "texts", "unscanned")

    def __init__(self, caps: Caps) -> None:
        self._caps = caps
        self._characters = 0
        self._values = 0
        self._taken: set[tuple[str, Place]] = set()
        self.matched: bool = False
        self.texts: dict[str, str] = {}
        self.places: dict[str, tuple[str, Place]] = {}
        self.unscanned: dict[str, int] = {}

    def read(self, root: str, value: object, steps: tuple[Step, ...]) -> None:
        """
        Take what *steps* select below the argument *root*.

        Raises:
            Denied: A cap is exceeded, or the value cannot be looked into.
        """
        for path, found, place, depth in _select(root, value, steps, (), 0):
            self.matched = True
            self._below(root, path, found, place, depth)

    def leave_out(self, root: str, value: object, steps: tuple[Step, ...]) -> None:
        """What *steps* select routes the message, and is no text, also where it stands below one."""
        for _, found, place, _ in _select(root, value, steps, (), 0):
            several = _children(found) if isinstance(found, list | tuple) else []
            self._taken.update((root, (*place, *more)) for more in ((), *((step,) for step, _ in several)))

    def _below(self, root: str, path: str, value: object, place: Place, depth: int) -> None:
        self._values += 1
        if depth > self._caps.depth:
            raise Denied(f"a payload nested deeper than {self._caps.depth}", control="caps")
        if self._values > self._caps.values:
            raise Denied(f"a payload of more than {self._caps.values} values", control="caps")
        if isinstance(value, str):
            self.add(root, path, value, place)
        elif isinstance(value, _NOT_TEXT):
            self._pass_over("None" if value is None else type(value).__name__)
        else:
            for number, (step, child) in enumerate(_children(value)):
                if isinstance(step, Item) and isinstance(step.key, str) and not _FIELD_NAME.fullmatch(step.key):
                    self._pass_over("key")
                self._below(root, path + _shown(step, number), child, (*place, step), depth + 1)

    def add(self, root: str, path: str, text: str, place: Place) -> None:
        """Take one text, within the caps."""
        if (root, place) in self._taken:
            return  # two selectors meet: the same text, once
        self._taken.add((root, place))
        while path in self.texts:
            path += "'"
        self._characters += len(text)
        if self._characters > self._caps.text_characters:
            raise Denied(f"more than {self._caps.text_characters} characters of text", control="caps")
        if len(self.texts) >= self._caps.parts:
            raise Denied(f"more than {self._caps.parts} text parts", control="caps")
        self.texts[path] = str.__str__(text)
        self.places[path] = (root, place)

    def _pass_over(self, kind: str) -> None:
        self.unscanned[kind] = self.unscanned.get(kind, 0) + 1


def placed(value: object, steps: tuple[Step, ...]) -> list[tuple[Place, object]]:
    """What *steps* select below *value*, and where it stands."""
    return [(place, found) for _, found, place, _ in _select("", value, steps, (), 0)]


def select(value: object, steps: tuple[Step, ...]) -> list[object]:
    """What *steps* select below *value*; for roles that are not text."""
    return [found for _, found, _, _ in _select("", value, steps, (), 0)]


def put(value: object, changes: Sequence[tuple[Place, str]]) -> object:
    """
    *value* with other texts at some places; everything on the way is copied, nothing is mutated.

    Raises:
        Denied: A container on the way cannot be copied.
    """
    grouped: dict[Key | Index | Item | Decode, list[tuple[Place, str]]] = {}
    for place, text in changes:
        if not place:
            return text
        grouped.setdefault(place[0], []).append((place[1:], text))
    if len(grouped) == 1 and isinstance(step := next(iter(grouped)), Decode):
        return encode(put(decode(value, step.codec), grouped[step]), step.codec, like=value)
    news = {step: put(_at(value, step), below) for step, below in grouped.items()}
    return _copied(value, news)


def _select(
    path: str, value: object, steps: tuple[Step, ...], place: Place, depth: int
) -> list[tuple[str, object, Place, int]]:
    if not steps:
        return [(path, value, place, depth)]
    step, rest = steps[0], steps[1:]
    match step:
        case Decode() if value is None:
            return []
        case Decode(codec):
            return _select(f"{path}|{codec}", decode(value, codec), rest, (*place, step), depth + 1)
        case Every():
            children = [] if value is None else _children(value)
        case Key() | Index():
            children = _child(value, step)
    found: list[tuple[str, object, Place, int]] = []
    for number, (way, child) in enumerate(children):
        found += _select(path + _shown(way, number), child, rest, (*place, way), depth + 1)
    return found


def _shown(step: Key | Index | Item | Decode, number: int) -> str:
    match step:
        case Index(at):
            return f"[{at}]"
        case Decode(codec):
            return f"|{codec}"
        case Key(name) | Item(name):
            return f".{name}" if isinstance(name, str) and _FIELD_NAME.fullmatch(name) else f"[#{number}]"


def field_names(value: object) -> list[str] | None:
    """The fields of an object whose kind we know; None for any other."""
    kind = type(value)
    if is_dataclass(kind):
        return [field.name for field in fields(kind)]
    if _is_pydantic(value):
        return [*kind.model_fields, *(getattr(value, "__pydantic_extra__", None) or {})]  # type: ignore[attr-defined]
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return [attribute.name for attribute in attributes]
    if kind is SimpleNamespace:
        return list(vars(value))
    return None


def texts_beside_fields(value: object, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Texts of a known kind of object that are no fields: what `__post_init__` has set, private attributes of pydantic."""
    kind = type(value)
    held = getattr(value, "__pydantic_private__" if _is_pydantic(value) else "__dict__", None) or {}
    for name, text in held.items():
        if (
            isinstance(text, str)
            and name not in names
            and not isinstance(getattr_static(kind, name, None), cached_property)
        ):
            yield name, text


def _is_pydantic(value: object) -> bool:
    # By shape and not by import: core imports nothing but the standard library.
    return isinstance(getattr(type(value), "model_fields", None), dict) and hasattr(value, "model_copy")


def _children(value: object) -> list[tuple[Key | Index | Item, object]]:
    # The containers' own methods: a subclass may show something else than it holds.
    if isinstance(value, dict):
        return [(Item(key), child) for key, child in dict.items(value)]
    if isinstance(value, list):
        return [(Index(number), child) for number, child in enumerate(list.__iter__(value))]
    if isinstance(value, tuple):
        return [(Index(number), child) for number, child in enumerate(tuple.__iter__(value))]
    names = field_names(value)
    if names is None:
        raise Denied(f"a {type(value).__name__} under a text selector cannot be looked into", control="binding")
    found: list[tuple[Key | Index | Item, object]] = [
        (Key(name), getattr(value, name)) for name in names if hasattr(value, name)
    ]
    found += [(Key(name), text) for name, text in texts_beside_fields(value, names)]
    return found


def _child(value: object, step: Key | Index) -> list[tuple[Key | Index | Item, object]]:
    """What one named step finds: one child, or none."""
    if value is None or isinstance(value, str):
        return []
    if isinstance(step, Index):
        if not isinstance(value, list | tuple):
            raise Denied(f"[{step.number}] needs a list or tuple, not {type(value).__name__}", control="binding")
        return _children(value)[step.number : step.number + 1]
    if isinstance(value, Texts) and step.name in value.routes:
        return [(Item(step.name), value.routes[step.name])]
    if isinstance(value, dict):
        return [(Item(step.name), dict.__getitem__(value, step.name))] if dict.__contains__(value, step.name) else []
    if isinstance(value, tuple) and step.name in getattr(type(value), "_fields", ()):
        return _child(value, Index(type(value)._fields.index(step.name)))  # type: ignore[attr-defined]  # a namedtuple
    names = field_names(value)
    if names is None and (step.name in getattr(value, "__dict__", ()) or _is_slot(value, step.name)):
        names = [step.name]
    if names is None:
        raise Denied(f".{step.name} of a {type(value).__name__} cannot be looked into", control="binding")
    return [(step, getattr(value, step.name))] if step.name in names and hasattr(value, step.name) else []


def _is_slot(value: object, name: str) -> bool:
    return isinstance(getattr_static(type(value), name, None), MemberDescriptorType)


def _at(value: Any, step: Key | Index | Item | Decode) -> object:
    match step:
        case Item(key):
            return dict.__getitem__(value, key)
        case Index(number):
            return _children(value)[number][1]
        case Key(name):
            return getattr(value, name)
        case Decode(codec):
            return decode(value, codec)


def _copied(value: object, news: dict[Any, object]) -> object:
    """A shallow copy of *value* with some children replaced."""
    twin: Any
    if isinstance(value, dict):
        twin = _shallow_container(value)
        for step, new in news.items():
            dict.__setitem__(twin, step.key, new)
        return twin
    if isinstance(value, list):
        twin = _shallow_container(value)
        for step, new in news.items():
            list.__setitem__(twin, step.number, new)
        return twin
    if isinstance(value, tuple):
        items = list(value)
        for step, new in news.items():
            items[step.number] = new
        return tuple.__new__(type(value), items)
    changed = {step.name: new for step, new in news.items()}
    if _is_pydantic(value):
        private = getattr(value, "__pydantic_private__", None) or {}
        twin = value.model_copy(update={name: new for name, new in changed.items() if name not in private})  # type: ignore[attr-defined]
        for name in private.keys() & changed.keys():
            twin.__pydantic_private__[name] = changed[name]
        _forget_cached(twin)
        return twin
    twin = _shallow(value)
    for name, new in changed.items():
        object.__setattr__(twin, name, new)
    return twin


def _shallow_container(value: dict[Any, Any] | list[Any]) -> Any:
    twin = copy.copy(value)
    if twin is value or not isinstance(twin, dict if isinstance(value, dict) else list):  # its `__copy__` makes no copy
        raise Denied(f"a {type(value).__name__} under a text selector cannot be copied", control="binding")
    return twin


def _shallow(value: Any) -> Any:
    """The same type with the same state, without running any of its code."""
    kind = type(value)
    try:
        twin = SimpleNamespace() if kind is SimpleNamespace else object.__new__(kind)
    except TypeError:
        twin = None
    if twin is None:
        raise Denied(f"a {kind.__name__} under a text selector cannot be copied", control="binding")
    fields_of_attrs = {attribute.name for attribute in getattr(kind, "__attrs_attrs__", ())}
    for owner in kind.__mro__:
        slots = owner.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot in ("__dict__", "__weakref__"):
                continue
            name = f"_{owner.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
            if fields_of_attrs and name not in fields_of_attrs:
                continue  # where attrs keeps cached properties
            try:
                held = owner.__dict__[name].__get__(value)
            except (AttributeError, KeyError):
                continue  # never set
            object.__setattr__(twin, name, held)
    if hasattr(value, "__dict__"):
        twin.__dict__.update(vars(value))
        _forget_cached(twin)
    return twin


def _forget_cached(twin: Any) -> None:
    """A cached property was computed from the old text, and would carry it along."""
    for name in list(vars(twin)):
        if isinstance(getattr_static(type(twin), name, None), cached_property):
            del vars(twin)[name]
