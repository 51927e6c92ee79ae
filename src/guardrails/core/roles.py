"""
Which parameter plays which role: by name, by `Annotated` marker, or by the conventions below.

A bare `@guard` is accepted only when nothing is left to guess: exactly one text name, and every other parameter known.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NoReturn, TypeAlias

from guardrails.core.message import Conversation, Recipient, Tenant, Text
from guardrails.core.profiles import NOTHING, Profile
from guardrails.core.selectors import Selector, parse_selector
from guardrails.errors import ConfigError


class Convention(Enum):
    """Stands for "as the parameter names suggest"."""

    CONVENTIONAL = "conventional"


CONVENTIONAL: Final = Convention.CONVENTIONAL

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text", "body", "message", "content", "prompt"),
    "recipient": ("to", "recipient", "phone", "phone_number", "number", "email", "chat_id"),
    "conversation": ("conversation", "conversation_id", "thread_id"),
    "tenant": ("tenant", "tenant_id", "org"),
}
SENDER_NAMES: Final = ("sender", "from_")
KNOWN_NAMES: Final = frozenset({"self", "cls", "id", "key", *SENDER_NAMES})
MARKERS: Final[Mapping[str, type]] = {"text": Text, "recipient": Recipient, "conversation": Conversation, "tenant": Tenant}

RoleOption: TypeAlias = str | Sequence[str] | Convention | None


@dataclass(frozen=True, slots=True)
class Roles:
    """The selectors of each role."""

    text: tuple[Selector, ...]
    recipient: tuple[Selector, ...] = ()
    conversation: tuple[Selector, ...] = ()
    tenant: tuple[Selector, ...] = ()
    message_key: tuple[Selector, ...] = ()
    sender: tuple[Selector, ...] = ()

    def roots(self) -> set[str]:
        """Every name that a selector starts with."""
        every = (*self.text, *self.recipient, *self.conversation, *self.tenant, *self.message_key, *self.sender)
        return {selector.root for selector in every}


def signature_of(send: Callable[..., Any]) -> inspect.Signature:
    """
    The send's signature.

    Raises:
        ConfigError: Python cannot tell; use `bind=`.
    """
    try:
        return inspect.signature(send)
    except (ValueError, TypeError):
        name = getattr(send, "__qualname__", type(send).__name__)
    raise ConfigError(f"{name} has no readable signature; wrap it with guard.wrap(send, bind=...)")


def roles_of(
    send: Callable[..., Any],
    signature: inspect.Signature,
    options: Mapping[str, RoleOption],
    profile: Profile = NOTHING,
) -> Roles:
    """
    Decide all roles, at decoration.

    Args:
        send: The function, for its annotations.
        signature: Its signature.
        options: Role to what the user wrote: a selector, several, None, or `CONVENTIONAL`.
        profile: What the channel adds to the conventions.

    Raises:
        ConfigError: A role is ambiguous, a selector is wrong, or a parameter is left to guess.
    """
    parameters = signature.parameters
    marked = _marked(send, parameters)
    chosen: dict[str, tuple[Selector, ...]] = {}
    for role in ("text", *[role for role in NAMES if role != "text"]):
        option = options.get(role, CONVENTIONAL)
        if option is not CONVENTIONAL:
            chosen[role] = _explicit(role, option, parameters)
        elif marked[role]:
            chosen[role] = tuple(parse_selector(name) for name in marked[role])
        else:
            chosen[role] = _conventional(role, parameters, profile, taken={s.root for s in chosen.get("text", ())})
    guessed = options.get("text", CONVENTIONAL) is CONVENTIONAL and not marked["text"]
    if guessed:
        _check_bare(
            chosen,
            parameters,
            profile,
            settled=[role for role in NAMES if options.get(role, CONVENTIONAL) is not CONVENTIONAL],
        )
    if not chosen["text"]:
        _cannot_guess(parameters, "names no text")
    sender = options.get("sender", CONVENTIONAL)
    return Roles(
        **chosen,
        message_key=_explicit("message_key", options.get("message_key"), parameters),
        sender=_explicit("sender", sender, parameters)
        if sender is not CONVENTIONAL
        else tuple(parse_selector(name) for name in (*SENDER_NAMES, *profile.senders) if name in parameters),
    )


def _explicit(role: str, option: RoleOption, parameters: Mapping[str, inspect.Parameter]) -> tuple[Selector, ...]:
    if option is None:
        return ()
    written = (option,) if isinstance(option, str) else option
    if not isinstance(written, Iterable) or isinstance(written, Convention):
        raise ConfigError(f"{role}= takes a selector or a list of selectors")
    selectors = tuple(parse_selector(source) for source in written)
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for selector in selectors:
        if selector.root not in parameters and not takes_any:
            raise ConfigError(
                f"{role}={selector.source!r} names no parameter; there are: {', '.join(parameters) or 'none'}"
            )
    if role not in ("text", "recipient", "sender") and len(selectors) > 1:
        raise ConfigError(f"{role}= takes one selector")
    if len({selector.source for selector in selectors}) != len(selectors):
        raise ConfigError(f"{role}= names a selector twice")
    return selectors


def _conventional(
    role: str, parameters: Mapping[str, inspect.Parameter], profile: Profile, *, taken: set[str]
) -> tuple[Selector, ...]:
    found = [name for name in NAMES[role] if name in parameters and name not in taken]
    if len(found) > 1:
        raise ConfigError(
            f"{' and '.join(map(repr, found))} could each be the {role}; write {role}={found[0]!r} (or {role}=None)"
            if role != "text"
            else f"{' and '.join(map(repr, found))} could each be the text; write text=[...] with those that are"
        )
    more = profile.texts if role == "text" else dict.fromkeys(profile.recipients) if role == "recipient" else {}
    found += [more[name] or name for name in more if name in parameters and name not in taken and name not in found]
    return tuple(parse_selector(name) for name in found)


def _check_bare(
    chosen: Mapping[str, tuple[Selector, ...]],
    parameters: Mapping[str, inspect.Parameter],
    profile: Profile,
    *,
    settled: Sequence[str],
) -> None:
    known = (
        KNOWN_NAMES
        | {*profile.senders, *profile.others}
        | {selector.root for selectors in chosen.values() for selector in selectors}
    )
    # A role that was named leaves its other conventional names over: they are no text either.
    known |= {name for role in settled for name in NAMES[role]}
    unknown = [
        name
        for name, parameter in parameters.items()
        if name not in known or parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    ]
    if unknown:
        _cannot_guess(parameters, f"cannot tell whether {', '.join(map(repr, unknown))} holds text")
    if not chosen["text"]:
        _cannot_guess(parameters, "finds no text parameter")


def _cannot_guess(parameters: Mapping[str, inspect.Parameter], problem: str) -> NoReturn:
    raise ConfigError(
        f"@guard {problem}. The parameters are: {', '.join(parameters) or 'none'}. "
        'Say which hold text, such as @guard(text=["body"], recipient="to")'
    )


def _marked(send: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, list[str]]:
    hints = _hints(send, parameters)
    found: dict[str, list[str]] = {role: [] for role in MARKERS}
    for name in parameters:
        extras = _metadata(hints.get(name))
        for role, marker in MARKERS.items():
            if any(extra is marker or isinstance(extra, marker) for extra in extras):
                found[role].append(name)
    for role, names in found.items():
        if role not in ("text", "recipient") and len(names) > 1:
            raise ConfigError(f"{' and '.join(map(repr, names))} are both marked {MARKERS[role].__name__}")
    return found


def _metadata(hint: Any) -> list[Any]:
    """Everything that `Annotated` says anywhere inside a type, such as `Annotated[str, Text] | None`."""
    inner = [extra for part in typing.get_args(hint) for extra in _metadata(part)]
    return [*getattr(hint, "__metadata__", ()), *inner]


def _hints(send: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> Mapping[str, Any]:
    target = send if inspect.isroutine(send) or isinstance(send, type) else getattr(send, "func", send)
    if not inspect.isroutine(target) and callable(target):
        target = type(target).__call__
    try:
        return typing.get_type_hints(inspect.unwrap(target), include_extras=True)
    except Exception as error:  # noqa: BLE001 - evaluating somebody's annotations may raise anything
        problem = type(error).__name__
    raw = {name: parameter.annotation for name, parameter in parameters.items()}
    if any(isinstance(hint, str) and "Annotated" in hint for hint in raw.values()):
        raise ConfigError(f"the annotations cannot be evaluated ({problem}); name the roles: @guard(text=..., ...)")
    return raw
