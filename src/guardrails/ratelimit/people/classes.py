"""What kind of message a send is ("otp", "marketing", ...), which decides whether a rule for people holds for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from guardrails.core.message import Message
from guardrails.core.message_class import current_class, stated_class
from guardrails.errors import ConfigError, ControlError

if TYPE_CHECKING:
    from guardrails.core.call import Call

ClassOf: TypeAlias = Callable[[Message], str | None]

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_SAYS: Final = "a message class is 1 to 32 lower-case letters, digits, _ or -, such as 'otp'"


@contextmanager
def message_class(name: str) -> Iterator[None]:
    """
    Say what kind of message every send in this block is.

    Args:
        name: Such as "otp", "transactional" or "marketing".

    Raises:
        ConfigError: It is not a name.
    """
    token = current_class.set(checked(name))
    try:
        yield
    finally:
        current_class.reset(token)


def checked(name: object) -> str:
    """*name*, if it can be one."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(_SAYS)
    return name


def read_classes(names: Collection[str], argument: str) -> frozenset[str]:
    """The classes that an argument of a rule lists."""
    if isinstance(names, str):
        raise ConfigError(f"{argument} takes several classes: write ({names!r},)")
    return frozenset(map(checked, names))


class Classes:
    """
    Which messages a rule holds for.

    Args:
        rule: Whose, for errors.
        classes: Those that it holds for; all unless given. A message without a class is held in any case.
        exempt: Those that pass all the same.
        asked: The class of a message.
    """

    __slots__ = ("_asked", "_exempt", "_only")

    def __init__(self, rule: str, *, classes: Collection[str], exempt: Collection[str], asked: ClassOf | None) -> None:
        self._only = read_classes(classes, f"{rule}(classes=...)")
        self._exempt = read_classes(exempt, f"{rule}(exempt=...)")
        self._asked = asked
        if self._only and self._only & self._exempt:
            raise ConfigError(f"{rule}: a class stands in classes= and in exempt=")

    def hold(self, call: Call) -> bool:
        """Whether the rule holds for the message; that it does not is noted for the record. For canaries it does."""
        message = call.message
        if call.canary is not None:  # it is the rule that is tried, on a message that nobody receives
            return True
        if message.direction == "inbound":  # nobody is sent anything
            call.note("allow", detail={"inbound": True})
            return False
        kind = class_of(message, self._asked)
        if kind is not None and (kind in self._exempt or (self._only and kind not in self._only)):
            call.note("allow", detail={"exempt": kind})
            return False
        return True


def class_of(message: Message, asked: ClassOf | None) -> str | None:
    """
    The class of *message*: what the rule's function says, else the block's, else `metadata["message_class"]`.

    Raises:
        ControlError: It is not a name.
    """
    found = stated_class(message) if asked is None else asked(message)
    if found is None:
        return None
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise ControlError(_SAYS)
    return found
