"""A tool that a model calls: its arguments as a message, and its result masked in every place where it stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from guardrails.adapters.leaves import texts_of
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message

META: Final = "guardrails/conversation"
_SKIP: Final = frozenset({"type", "mimeType", "mime_type", "data", "blob", "uri"})


async def called(
    guard: Guard,
    arguments: Mapping[str, Any] | None,
    call: Callable[[dict[str, Any]], Awaitable[Any]],
    *,
    conversation: str | None = None,
    reply: str | None = None,
) -> Any:
    """
    Call a tool through *guard*.

    Args:
        guard: The texts of the arguments are its message.
        arguments: What the model gave.
        call: Calls the tool with masked arguments; gives its result as JSON values (dict, list, str, numbers).
        conversation: The conversation's id.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.

    Returns:
        The result with the guard's texts in it.
    """
    texts = texts_of(dict(arguments or {}))
    ids = current.get()
    message = Message(
        texts.parts or {"arguments": ""},
        channel="tool",
        conversation=conversation or ids.conversation,
        tenant=ids.tenant,
        actor=ids.actor,
    )
    replied: list[Any] = []

    async def call_tool(sealed: Message) -> dict[str, str]:
        given: Any = texts.put(sealed.parts)
        result = texts_of(await call(given), skip=_SKIP)
        replied.append(result)
        return dict(result.parts)

    answer: Any = await guard.arun(message, call_tool, reply=reply or ("mask" if guard.masks else "pass"))
    return replied[0].put(answer) if replied else answer
