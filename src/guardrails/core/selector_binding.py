"""From the arguments of a call to a message, and back, by selectors that were resolved at decoration."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from guardrails.core.binding import Reading
from guardrails.core.call_shape import ABSENT, Args, CallShape, Kwargs, Plain, Slot, shape_of, values_at
from guardrails.core.caps import Caps
from guardrails.core.context import NOBODY
from guardrails.core.context import current as current_ids
from guardrails.core.message import EMPTY, Envelope, Message, assemble
from guardrails.core.payload import Place, Walk, put
from guardrails.core.roles import Roles
from guardrails.core.selectors import Decode, Selector
from guardrails.errors import ControlError, Denied

_SHAPES: Final = 256  # ways to call it that are remembered per send
_EMAIL: Final = Decode("mime")  # its addresses are no texts anyway, and it is dear to open
_OWN_OBJECT: Final = frozenset({"self", "cls"})  # whose method the send is: no payload
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)


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
        own = _OWN_OBJECT.intersection(self._names[:1])
        self._routes = frozenset(selector.root for selector in routes if not selector.steps) | own
        self._whole = self._routes | {selector.root for selector in roles.text if not selector.steps}
        self._all_known = len(self._whole)  # arguments, where all are known
        # A keyword of this name is another argument, among `**kwargs`.
        self._unnamed = {
            name for name, one in signature.parameters.items() if one.kind is inspect.Parameter.POSITIONAL_ONLY
        }
        text_roots = {selector.root for selector in roles.text}
        self._within = [
            selector
            for selector in routes
            if selector.steps and selector.root in text_roots and _EMAIL not in selector.steps
        ]
        self._shapes: dict[tuple[Any, ...], CallShape] = {}
        self._envelope: Envelope = (channel, direction, None, None, None, None, EMPTY)

    def read(self, args: Args, kwargs: Kwargs) -> Reading:
        """
        The message in a call.

        Raises:
            TypeError: The call does not fit the signature.
            Denied: A cap is exceeded, nothing was selected, or (strict) something is not text.
            ControlError: A recipient or id has a type that it cannot have.
        """
        key = (len(args), *kwargs)
        shape = self._shapes.get(key)
        if shape is None:
            shape = shape_of(self.signature, self.roles, args, kwargs)
            if len(self._shapes) < _SHAPES:
                self._shapes[key] = shape
        if shape.plain is not None:
            reading = self._read_plain(shape, shape.plain, args, kwargs)
            if reading is not None:
                return reading
        return self._read_any(shape, args, kwargs)

    def _read_plain(self, shape: CallShape, plain: Plain, args: Args, kwargs: Kwargs) -> Reading | None:
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
        return Reading(assemble({name: text}, recipients, self._envelope), shape)

    def _read_any(self, shape: CallShape, args: Args, kwargs: Kwargs) -> Reading:
        walk = Walk(self._caps)
        for selector in self._within:
            value = shape.fetch(selector.root, args, kwargs)
            if value is not ABSENT and not is_iterator(value):
                walk.leave_out(selector.root, value, selector.steps)
        iterators: dict[str, Any] = {}
        for selector in self.roles.text:
            value = shape.fetch(selector.root, args, kwargs)
            if value is ABSENT:
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
        conversation = self._identifier("conversation", self.roles.conversation, shape, args, kwargs)
        tenant = self._identifier("tenant", self.roles.tenant, shape, args, kwargs)
        senders = self._senders(shape, args, kwargs) if self.roles.sender else ()
        envelope: Envelope = (
            self._channel,
            self._direction,
            senders[0] if senders else None,
            ids.conversation if conversation is None else conversation,
            ids.tenant if tenant is None else tenant,
            ids.actor,
            EMPTY,
        )
        reading = Reading(assemble(walk.texts, self._recipients(shape, args, kwargs), envelope), shape)
        reading.places = walk.places
        reading.message_key = self._identifier("message_key", self.roles.message_key, shape, args, kwargs)
        reading.unscanned = walk.unscanned
        reading.senders = senders
        reading.iterators = iterators or None
        return reading

    def others(self, reading: Reading, args: Args, kwargs: Kwargs) -> Iterator[tuple[str, object]]:
        """Name and value of every argument that is not wholly a text, or who or what the message is for."""
        shape = reading.shape
        plain = shape is not None and shape.plain is not None and reading.places is None
        if plain and len(args) + len(kwargs) == self._all_known:
            return  # nothing but the text and the recipient
        for number, value in enumerate(args):
            name = self._names[min(number, len(self._names) - 1)] if self._names else "argument"
            if not (name in self._whole and (isinstance(value, str) or name in self._routes)):
                yield name, value
        for name, value in kwargs.items():
            known = name in self._whole and name not in self._unnamed
            if not (known and (isinstance(value, str) or name in self._routes)):
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
        shape = reading.shape
        assert shape is not None  # noqa: S101 - read() of this class always sets it
        news = {root: put(shape.fetch(root, args, kwargs), below) for root, below in changes.items()}
        return self._rebuilt(shape, news, args, kwargs)

    def replace_arguments(
        self, reading: Reading, news: Mapping[str, object], args: Args, kwargs: Kwargs
    ) -> tuple[Args, Kwargs]:
        """The call's arguments with some of them replaced whole."""
        assert reading.shape is not None  # noqa: S101 - read() of this class always sets it
        return self._rebuilt(reading.shape, news, args, kwargs)

    def _rebuilt(self, shape: CallShape, news: Mapping[str, Any], args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        positional, keywords = list(args), dict(kwargs)
        for root, new in news.items():
            match shape.slots[root]:
                case Slot(position=int(position)):
                    positional[position] = new
                case Slot(keyword=str(keyword)):
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

    def _recipients(self, shape: CallShape, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
        people: list[str] = []
        for selector in self.roles.recipient:
            for value in values_at(selector, shape, args, kwargs):
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

    def _senders(self, shape: CallShape, args: Args, kwargs: Kwargs) -> tuple[str, ...]:
        values = [value for selector in self.roles.sender for value in values_at(selector, shape, args, kwargs)]
        several = [one for value in values for one in (value if isinstance(value, list | tuple) else (value,))]
        return tuple(str.__str__(one) for one in several if isinstance(one, str))

    def _identifier(
        self, role: str, selectors: tuple[Selector, ...], shape: CallShape, args: Args, kwargs: Kwargs
    ) -> str | None:
        for selector in selectors:
            for value in values_at(selector, shape, args, kwargs):
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


def is_iterator(value: object) -> bool:
    """Whether a text argument arrives in pieces."""
    return hasattr(type(value), "__next__") or hasattr(type(value), "__anext__")
