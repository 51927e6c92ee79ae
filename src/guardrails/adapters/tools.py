"""What a model asks a server for (tools, prompts, resources): arguments as a message, and results masked wherever text stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from guardrails.adapters.leaves import Texts, texts_of, with_keys
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import Item
from guardrails.core.replies import own_reply

META: Final = "guardrails/conversation"
# Where a result holds blocks of the protocol, these keys are no text; everywhere else every string is one.
_BLOCKS: Final = frozenset({"content", "contents", "messages"})
_SKIP: Final = frozenset({"type", "role", "mimeType", "mime_type", "data", "blob", "uri"})


class ToolFailed(Exception):
    """
    The tool failed: the record says so, and the model is told, masked.

    Args:
        result: Its masked result, or masked words about its exception.
    """

    def __init__(self, result: Any) -> None:
        super().__init__("the tool failed")
        self.result = result


async def called(
    guard: Guard,
    arguments: Mapping[str, Any] | None,
    call: Callable[[dict[str, Any]], Awaitable[Any]],
    *,
    conversation: str | None = None,
    reply: str | None = None,
    is_error: Callable[[Any], bool] = lambda _result: False,
) -> Any:
    """
    Call a tool through *guard*.

    Args:
        guard: The texts of the arguments are its message.
        arguments: What the model gave.
        call: Calls the tool with masked arguments; gives its result as JSON values (dict, list, str, numbers).
        conversation: The conversation's id.
        reply: As in `Guard.wrap`; None for "mask" where the guard has a mask control.
        is_error: Whether a result says that the tool failed.

    Returns:
        The result with the guard's texts in it.

    Raises:
        ToolFailed: The tool raised, or its result says that it failed.
        GuardrailsError: It was refused.
    """
    texts = texts_of(dict(arguments or {}))
    ids = current.get()
    message = Message(
        texts.parts or {"arguments": ""},
        channel="tool",
        conversation=conversation or ids.conversation,
        tenant=ids.tenant,
        actor=ids.actor,
        metadata=texts.metadata,
    )
    replied: list[Texts] = []

    async def call_tool(sealed: Message) -> dict[str, str]:
        given: Any = texts.put(sealed.parts)
        own, failed = own_reply(), None
        try:
            result = _texts(with_keys(await call(given), own.whole))
        except Exception as error:  # noqa: BLE001 - raised again below without what is chained to it
            failed = ToolFailed(own.whole(str(error)))
        if failed is None and is_error(result.value):
            failed = ToolFailed(result.put({path: own.whole(text, path) for path, text in result.parts.items()}))
        if failed is not None:
            raise failed
        replied.append(result)
        return dict(result.parts)

    answer: Any = await guard.arun(message, call_tool, reply=reply or ("mask" if guard.masks else "pass"))
    return replied[0].put(answer) if replied else answer


def _texts(result: Any) -> Texts:
    if not isinstance(result, dict):
        return texts_of(result)
    found = Texts(result)
    for key, child in result.items():
        below = texts_of(child, skip=_SKIP if key in _BLOCKS else ())
        for path, text in below.parts.items():
            found.parts[f"{key}.{path}"] = text
            found.places[f"{key}.{path}"] = (Item(key), *below.places[path])
    return found
