"""
From the arguments of a call to a message, and back.

Compiled at decoration; per call shape (how many positional arguments, which keywords) the places of all roles are
worked out once and cached, so that a send pays for dict look-ups and not for `Signature.bind`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

from guardrails.core.caps import Caps
from guardrails.core.context import NOBODY
from guardrails.core.context import current as current_ids
from guardrails.core.message import EMPTY, Envelope, Message, assemble
from guardrails.core.payload import Place, Walk, put, select
from guardrails.core.roles import Roles
from guardrails.core.selectors import Selector
from guardrails.core.verdict import Coverage
from guardrails.errors import ControlError, Denied

_Plain: TypeAlias = tuple[str, int | str, int | str | None]  # text's parameter, its place, the recipient's place
Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_PLANS: Final = 256  # call shapes remembered per send
_ABSENT: Final = object()
_OWN_OBJECT: Final = frozenset({"self", "cls"})  # whose method the send is: no payload
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_ONE_TEXT: Final = Coverage(1)
_NO_COVERAGE: Final[dict[str, int]] = {}


class Binder(Protocol):
    """The escape hatch: a send whose arguments no selector can describe."""

    def read(self, args: Args, kwargs: Kwargs) -> Message:
        """The message in these arguments."""

    def write(self, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The arguments with *message* in them."""


class Reading:
    """
    What one call's arguments say.

    Attributes:
        message: The message.
        plan: Where the arguments of this call shape lie.
        places: Path to (parameter, way to the text); None when every text is a parameter itself.
        message_key: The caller's key for repeated attempts.
        senders: Who sends it, and who is answered.
        unscanned: Type name to number of values under a selector that are not text.
        iterators: Text arguments that arrive in pieces, by parameter.
    """

    places: Mapping[str, tuple[str, Place]] | None = None
    message_key: str | None = None
    senders: tuple[str, ...] = ()
    unscanned: Mapping[str, int] = _NO_COVERAGE
    iterators: Mapping[str, Any] | None = None

    def __init__(self, message: Message, plan: _Plan | None = None) -> None:
        self.message = message
        self.plan = plan

    def coverage(self) -> Coverage:
        """For the record."""
        if not self.unscanned and len(self.message.parts) == 1:
            return _ONE_TEXT
        return Coverage(len(self.message.parts), dict(self.unscanned))


class Binding(Protocol):
    """How a guard reads and writes one send's arguments."""

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """The message in a call."""

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The call's arguments with *message* in them."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where one argument of a call shape lies: a position, or a keyword."""

    position: int | None = None
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """
    Where each root lies in one call shape.

    Args:
        slots: Root to a slot; to a tuple of them for `*args`, a dict of them for `**kwargs`, or a `_Default`.
        plain: Set when one plain text and at most one plain recipient is all that matters.
    """

    slots: Mapping[str, Any]
    plain: _Plain | None

    def fetch(self, root: str, args: Args, kwargs: Kwargs) -> Any:
        slot = self.slots.get(root, _ABSENT)
        match slot:
            case _Slot(position=int(position)):
                return args[position]
            case _Slot(keyword=str(keyword)):
                return kwargs[keyword]
            case _Default(value):  # libraries mark with a bare object what was not given
                return _ABSENT if type(value) is object else value
            case tuple():
                return args[slot[0].position :] if slot else ()
            case dict():
                return {name: kwargs[name] for name in slot}
            case _:
                return _ABSENT


@dataclass(frozen=True, slots=True)
class _Default:
    """A parameter that the call left out."""

    value: Any


class SelectorBinding:
    """Reads and writes by selectors."""

    def __init__(
        self,
        signature: inspect.Signature,
        roles: Roles,
        *,
        channel: str,
        direction: str,
        caps: Caps,
        strict: bool,
    ) -> None:
        self.signature: inspect.Signature = signature
        self.roles: Roles = roles
        self._channel = channel
        self._direction = direction
        self._caps = caps
        self._strict = strict
        self._names = [name for name, one in signature.parameters.items() if one.kind in _POSITIONAL]
        routes = (*roles.recipient, *roles.conversation, *roles.tenant, *roles.message_key, *roles.sender)
        self._routes = frozenset(selector.root for selector in routes if not selector.steps) | _OWN_OBJECT
        self._whole = self._routes | {selector.root for selector in roles.text if not selector.steps}
        self._all_known = len(self._whole) - len(_OWN_OBJECT - set(self._names))  # arguments, where all are known
        self._plans: dict[tuple[Any, ...], _Plan] = {}
        self._envelope: Envelope = (channel, direction, None, None, None, None, EMPTY)

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """
        The message in a call.

        Raises:
            TypeError: The call does not fit the signature.
            Denied: A cap is exceeded, nothing was selected, or (strict) something is not text.
            ControlError: A recipient or id has a type that it cannot have.
        """
        shape = (len(args), *kwargs)
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._planned(shape, args, kwargs)
        if plan.plain is not None:
            reading = self._read_plain(plan, plan.plain, args, kwargs)
            if reading is not None:
                return reading
        return self._read_any(plan, args, kwargs)

    def _read_plain(self, plan: _Plan, plain: _Plain, args: Args, kwargs: Kwargs) -> Reading | None:
        """The common case, one plain text and at most one plain recipient; None when a value is something else."""
        name, at, at_recipient = plain
        text = args[at] if isinstance(at, int) else kwargs[at]
        if type(text) is not str or len(text) > self._caps.text_characters:
            return None
        recipients: tuple[str, ...] = ()
        if at_recipient is not None:
            person = args[at_recipient] if isinstance(at_recipient, int) else kwargs[at_recipient]
            if type(person) is not str:
                return None
            recipients = (person,)
        if current_ids.get() is not NOBODY:
            return None
        return Reading(assemble({name: text}, recipients, self._envelope), plan)

    def _read_any(self, plan: _Plan, args: Args, kwargs: Kwargs) -> Reading:
        walk = Walk(self._caps)
        iterators: dict[str, Any] = {}
        for selector in self.roles.text:
            value = plan.fetch(selector.root, args, kwargs)
            if value is _ABSENT:
                continue
            if not selector.steps and is_iterator(value):
                walk.matched = True
                walk.add(selector.root, selector.root, "", ())  # its place among the parts; filled when it is collected
                iterators[selector.root] = value
            else:
                walk.read(selector.root, value, selector.steps)
        if not walk.matched:
            sources = ", ".join(repr(selector.source) for selector in self.roles.text)
            raise Denied(f"no text selector matched: {sources}", control="binding")
        if self._strict and walk.unscanned:
            raise Denied(f"strict: not text: {', '.join(sorted(walk.unscanned))}", control="binding")
        ids = current_ids.get()
        for role in ("conversation", "tenant", "actor"):
            if len(getattr(ids, role) or "") > self._caps.id_characters:
                raise Denied(f"a {role} of more than {self._caps.id_characters} characters", control="caps")
        conversation = self._identifier("conversation", self.roles.conversation, plan, args, kwargs)
        tenant = self._identifier("tenant", self.roles.tenant, plan, args, kwargs)
        senders = self._senders(plan, args, kwargs) if self.roles.sender else ()
        envelope: Envelope = (
            self._channel,
            self._direction,
            senders[0] if senders else None,
            ids.conversation if conversation is None else conversation,
            ids.tenant if tenant is None else tenant,
            ids.actor,
            EMPTY,
        )
        reading = Reading(assemble(walk.texts, self._recipients(plan, args, kwargs), envelope), plan)
        reading.places = walk.places
        reading.message_key = self._identifier("message_key", self.roles.message_key, plan, args, kwargs)
        reading.unscanned = walk.unscanned
        reading.senders = senders
        reading.iterators = iterators or None
        return reading

    def others(self, reading: Reading, args: Args, kwargs: Kwargs) -> Iterator[tuple[str, object]]:
        """Name and value of every argument that is not wholly a text, or who or what the message is for."""
        plan = reading.plan
        if plan is not None and plan.plain is not None and len(args) + len(kwargs) == self._all_known:
            return  # nothing but the text and the recipient
        for number, value in enumerate(args):
            name = self._names[min(number, len(self._names) - 1)] if self._names else "argument"
            if not (name in self._whole and (isinstance(value, str) or name in self._routes)):
                yield name, value
        for name, value in kwargs.items():
            if not (name in self._whole and (isinstance(value, str) or name in self._routes)):
                yield name, value

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """The call's arguments with *message*'s texts in them; unchanged arguments stay the same objects."""
        old = reading.message.parts
        if message.parts is old:
            return args, kwargs
        changes: dict[str, list[tuple[Place, str]]] = {}
        for path, text in message.parts.items():
            if path not in old or text != old[path]:
                root, place = (path, ()) if reading.places is None else reading.places[path]
                changes.setdefault(root, []).append((place, text))
        if not changes:
            return args, kwargs
        plan = reading.plan
        assert plan is not None  # noqa: S101 - read() of this class always sets it
        news = {root: put(plan.fetch(root, args, kwargs), below) for root, below in changes.items()}
        return self._rebuilt(plan, news, args, kwargs)

    def replace_arguments(
        self, reading: Reading, news: Mapping[str, object], args: Args, kwargs: Kwargs
    ) -> tuple[Args, Kwargs]:
        """The call's arguments with some of them replaced whole."""
        assert reading.plan is not None  # noqa: S101 - read() of this class always sets it
        return self._rebuilt(reading.plan, news, args, kwargs)

    def _rebuilt(self, plan: _Plan, news: Mapping[str, Any], args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        positional, keywords = list(args), dict(kwargs)
        for root, new in news.items():
            match plan.slots[root]:
                case _Slot(position=int(position)):
                    positional[position] = new
                case _Slot(keyword=str(keyword)):
                    keywords[keyword] = new
                case tuple() as slots:
                    positional[slots[0].position :] = new
                case dict():
                    keywords.update(new)
                case _:  # the call left it out: say it now
                    if self.signature.parameters[root].kind is not inspect.Parameter.POSITIONAL_ONLY:
                        keywords[root] = new
                        continue
                    bound = self.signature.bind(*positional, **keywords)
                    bound.apply_defaults()
                    bound.arguments[root] = new
                    positional, keywords = list(bound.args), dict(bound.kwargs)
        return tuple(positional), keywords

    def _planned(self, shape: tuple[Any, ...], args: Args, kwargs: Kwargs) -> _Plan:
        slots = [_Slot(position=number) for number in range(len(args))]
        bound = self.signature.bind(*slots, **{name: _Slot(keyword=name) for name in kwargs}).arguments
        extra = next((p.name for p in self.signature.parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        found: dict[str, Any] = {}
        for root in self.roles.roots():
            parameter = self.signature.parameters.get(root)
            if root in bound:
                found[root] = bound[root]
            elif parameter is not None and parameter.default is not inspect.Parameter.empty:
                found[root] = _Default(parameter.default)
            elif extra is not None and root in bound.get(extra, {}):
                found[root] = bound[extra][root]
        plan = _Plan(found, _plain(self.roles, found))
        if len(self._plans) < _PLANS:
            self._plans[shape] = plan
        return plan

    def _recipients(self, plan: _Plan, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
        people: list[str] = []
        for selector in self.roles.recipient:
            for value in _values(selector, plan, args, kwargs):
                if isinstance(value, str):
                    people.append(str.__str__(value))
                elif isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
                    people += [str.__str__(one) for one in value]
                elif value is not None:
                    raise ControlError(
                        f"recipient {selector.source!r} must be a str or a list of str, not {type(value).__name__}",
                        control="binding",
                    )
        if len(people) > self._caps.recipients:
            raise Denied(f"more than {self._caps.recipients} recipients", control="caps")
        return tuple(people)

    def _senders(self, plan: _Plan, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
        values = [value for selector in self.roles.sender for value in _values(selector, plan, args, kwargs)]
        several = [one for value in values for one in (value if isinstance(value, list | tuple) else (value,))]
        return tuple(str.__str__(one) for one in several if isinstance(one, str))

    def _identifier(
        self, role: str, selectors: tuple[Selector, ...], plan: _Plan, args: Args, kwargs: Kwargs
    ) -> str | None:
        for selector in selectors:
            for value in _values(selector, plan, args, kwargs):
                if value is None:
                    continue
                if isinstance(value, bool) or not isinstance(value, str | int | UUID):
                    raise ControlError(
                        f"{role} {selector.source!r} must be a str, int or UUID, not {type(value).__name__}",
                        control="binding",
                    )
                text = str.__str__(value) if isinstance(value, str) else str(value)
                if len(text) > self._caps.id_characters:
                    raise Denied(f"a {role} of more than {self._caps.id_characters} characters", control="caps")
                return text
        return None


def _values(selector: Selector, plan: _Plan, args: Args, kwargs: Kwargs) -> list[object]:
    value = plan.fetch(selector.root, args, kwargs)
    return [] if value is _ABSENT else select(value, selector.steps)


def _plain(roles: Roles, slots: Mapping[str, Any]) -> _Plain | None:
    """The places of text and recipient, if nothing else has to be read in this call shape."""
    if len(roles.text) != 1 or len(roles.recipient) > 1:
        return None
    if roles.conversation or roles.tenant or roles.message_key or roles.sender:
        return None
    places: list[int | str] = []
    for selector in (*roles.text, *roles.recipient):
        slot = slots.get(selector.root)
        if selector.steps or not isinstance(slot, _Slot):
            return None
        at = slot.keyword if slot.position is None else slot.position
        assert at is not None  # noqa: S101 - a slot has one of the two
        places.append(at)
    return roles.text[0].root, places[0], places[1] if roles.recipient else None


def is_iterator(value: object) -> bool:
    """Whether a text argument arrives in pieces."""
    return hasattr(type(value), "__next__") or hasattr(type(value), "__anext__")


class CustomBinding:
    """Reads and writes by a user's `Binder`."""

    def __init__(self, binder: Binder, *, caps: Caps) -> None:
        self._binder = binder
        self._caps = caps

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """The message that the binder finds."""
        message = self._binder.read(args, kwargs)
        if not isinstance(message, Message):
            raise ControlError(f"bind.read must return a Message, not {type(message).__name__}", control="binding")
        return Reading(checked(message, self._caps))

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:  # noqa: ARG002
        """The arguments that the binder makes."""
        written = self._binder.write(message, args, kwargs)
        match written:
            case (tuple() as new_args, dict() as new_kwargs):
                return new_args, new_kwargs
            case _:
                raise ControlError("bind.write must return (args tuple, kwargs dict)", control="binding")


class MessageBinding:
    """For `run`: the only argument is the message."""

    def __init__(self, *, caps: Caps) -> None:
        self._caps = caps

    def read(self, args: Args, kwargs: Kwargs) -> Reading:  # noqa: ARG002
        """The message itself."""
        (message,) = args
        return Reading(checked(message, self._caps))

    def write(self, reading: Reading, message: Message, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:  # noqa: ARG002
        """The sealed message itself."""
        return (message,), kwargs


def checked(message: Message, caps: Caps) -> Message:
    """*message* within the caps, with the context's ids where it has none of its own."""
    if sum(map(len, message.parts.values())) > caps.text_characters:
        raise Denied(f"more than {caps.text_characters} characters of text", control="caps")
    if len(message.parts) > caps.parts:
        raise Denied(f"more than {caps.parts} text parts", control="caps")
    if len(message.recipients) > caps.recipients:
        raise Denied(f"more than {caps.recipients} recipients", control="caps")
    ids = current_ids.get()
    filled = Message(
        message.parts,
        channel=message.channel,
        direction=message.direction,
        recipients=message.recipients,
        sender=message.sender,
        conversation=ids.conversation if message.conversation is None else message.conversation,
        tenant=ids.tenant if message.tenant is None else message.tenant,
        actor=ids.actor if message.actor is None else message.actor,
        metadata=message.metadata,
    )
    for role in ("conversation", "tenant", "actor"):
        if len(getattr(filled, role) or "") > caps.id_characters:
            raise Denied(f"a {role} of more than {caps.id_characters} characters", control="caps")
    return filled
