"""
What a message costs where that depends on its text: known at the door, from the text that is really sent.

On the way in such a cost counts as one unit: masking may shorten a text, and a message that would fit must not be refused.
What an answer of a model adds is known after the send, and charged then: see `settled`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.message import Message
from guardrails.errors import ControlError
from guardrails.ratelimit.limit import MAX_AMOUNT, Limit
from guardrails.segments import segments

if TYPE_CHECKING:
    from guardrails.ratelimit.charge import Charge

_BYTES_A_TOKEN: Final = 4


def tokens(message: Message) -> int:
    """An estimate: four bytes of UTF-8 to a token, rounded up. For an exact count give the limit a `tokenizer`."""
    return _tokens_of(message.text, None)


def _tokens_of(text: str, tokenizer: Any) -> int:
    if tokenizer is None:
        return max(1, -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_A_TOKEN))
    # `encode` of tiktoken refuses texts that contain its special tokens, which anybody may write.
    encode = getattr(tokenizer, "encode_ordinary", None) or getattr(tokenizer, "encode", None) or tokenizer
    found: object = encode(text)
    found = getattr(found, "ids", found)  # an Encoding of the package tokenizers
    if isinstance(found, Sized):
        found = len(found)
    if type(found) is not int or found < 0:
        raise ControlError("rate limit: tokenizer= must return the tokens of a text, or how many there are")
    return max(1, found)


def _segments(message: Message) -> int:
    return sum(segments(text) for text in message.parts.values()) or 1


def priced(charges: Sequence[Charge], message: Message) -> Sequence[Charge]:
    """
    The same charges with what *message* costs.

    Raises:
        ControlError: A function of a limit returned something else than an int of at least 1.
    """
    costs: dict[str, int] = {}
    found = []
    for charge in charges:
        limit = charge.rule.limit
        if isinstance(limit.cost, int):
            found.append(charge)
            continue
        units = costs.get(limit.label)
        if units is None:
            units = costs[limit.label] = _cost(limit, message)
        found.append(charge._replace(units=units))
    return found


def roughly(charges: Sequence[Charge], message: Message) -> Sequence[Charge]:
    """As `priced`, for a message that is not masked yet: a guess of how long it would have to wait. Functions are not asked."""
    return [
        charge._replace(units=_cost(charge.rule.limit, message)) if isinstance(charge.rule.limit.cost, str) else charge
        for charge in charges
    ]


def _cost(limit: Limit, message: Message) -> int:
    units: object
    if limit.cost == "segments":
        units = _segments(message)
    elif limit.cost == "tokens":
        units = _tokens_of(message.text, limit.tokenizer)
    else:
        units = limit.cost(message) if callable(limit.cost) else limit.cost
    if type(units) is not int or not 1 <= units <= MAX_AMOUNT:
        raise ControlError(f"rate limit {limit.label!r}: cost= must return an int of at least 1")
    return units


def settled(reply: object) -> Callable[[Charge], int | None]:
    """
    What each charge turned out to be, now that there is an answer; None where nothing new is known.

    A reply that reports its usage (OpenAI, Anthropic and whatever answers like them; as attributes or as a dict) is believed.
    An answer that is text is counted and added to what was charged.
    """
    total = _reported(reply)

    def units(charge: Charge) -> int | None:
        limit = charge.rule.limit
        if limit.cost != "tokens":
            return None
        if total is not None:
            return min(MAX_AMOUNT, max(1, total))
        if isinstance(reply, str) and reply:
            return min(MAX_AMOUNT, charge.units + _tokens_of(reply, limit.tokenizer))
        return None

    return units


def _reported(reply: object) -> int | None:
    usage = _field(reply, "usage")
    total = _number(usage, "total_tokens")
    if total is not None:
        return total
    sent = _number(usage, "prompt_tokens", "input_tokens")
    answered = _number(usage, "completion_tokens", "output_tokens")
    if sent is None or answered is None:
        return None
    # Anthropic counts what it read from and wrote to its cache apart.
    cached = [_number(usage, name) or 0 for name in ("cache_creation_input_tokens", "cache_read_input_tokens")]
    return sent + answered + sum(cached)


def _number(usage: object, *names: str) -> int | None:
    for name in names:
        found = _field(usage, name)
        if type(found) is int and found >= 0:
            return found
    return None


def _field(holder: object, name: str) -> object:
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


class Heard:
    """A filter that changes nothing and remembers what passed: the text of an answer that streams."""

    __slots__ = ("_chunks", "_size")

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self._size = 0

    def feed(self, chunk: str, /) -> str:
        """The same."""
        if self._size < MAX_HEARD:
            self._chunks.append(chunk)
            self._size += len(chunk)
        return chunk

    def flush(self) -> str:
        """Nothing is held back."""
        return ""

    @property
    def text(self) -> str:
        """What passed."""
        return "".join(self._chunks)


MAX_HEARD: Final = 1_000_000  # characters of one answer that are counted
