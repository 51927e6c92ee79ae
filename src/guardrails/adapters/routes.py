"""Which requests of which providers carry messages, and what in them is whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guardrails.adapters import llm
from guardrails.adapters.llm import words
from guardrails.adapters.sse import Reader
from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    One kind of request, and what in it is whose.

    Args:
        path: Regular expression, searched in the URL's path.
        channel: What is sent there.
        skip: Keys of the request below which nothing is text, such as ids. One that shows somebody's data is refused.
        reply_skip: The same for the reply.
        recipient: Selectors into the body, such as `"body.to"`; the root is always `body`.
        sender: Selector of the sender.
        conversation: Selector of the conversation's id.
        events: What the events of a stream say about their texts.
        codec: `"json"` or `"form"`, how the body is written.
        method: `"POST"`; or `"GET"`, which fetches an answer that was given before: masked and recorded, and no limit counts it.
    """

    path: str
    channel: str = "llm"
    skip: frozenset[str] = frozenset()
    reply_skip: frozenset[str] = frozenset()
    recipient: tuple[str, ...] = ()
    sender: str | None = None
    conversation: str | None = None
    events: Reader = llm.any_events
    codec: str = "json"
    method: str = "POST"


OPENAI: Final = (
    Route(
        path=r"/chat/completions$",
        skip=llm.REQUEST_SKIP,
        reply_skip=llm.REPLY_SKIP,
    ),
    Route(
        path=r"/responses$",
        skip=llm.REQUEST_SKIP,
        reply_skip=llm.REPLY_SKIP,
        conversation="body.conversation",
    ),
    Route(path=r"/(embeddings|moderations|completions)$", skip=llm.REQUEST_SKIP, reply_skip=llm.REPLY_SKIP),
    Route(
        path=r"/(responses|chat/completions)/[^/]+(/input_items|/messages)?$|/conversations/[^/]+/items(/[^/]+)?$",
        reply_skip=llm.REPLY_SKIP,
        method="GET",
    ),
)
ANTHROPIC: Final = (
    Route(
        path=r"/v1/messages$",
        skip=llm.REQUEST_SKIP,
        reply_skip=llm.REPLY_SKIP,
    ),
)
_SINCH_SKIP: Final = words(
    "delivery_report type callback_url send_at expire_at client_reference udh app_id url thumbnail_url"
)
SINCH: Final = (
    Route(
        path=r"/xms/v1/[^/]+/batches$",
        channel="sms",
        skip=_SINCH_SKIP,
        reply_skip=words("id to from type created_at modified_at delivery_report"),
        recipient=("body.to",),
        sender='body["from"]',
    ),
    Route(
        path=r"/messages:send$",
        channel="chat",
        skip=_SINCH_SKIP | {"channel", "channel_priority_order", "queue", "processing_strategy", "ttl"},
        reply_skip=words("message_id accepted_time"),
        recipient=("body.recipient.identified_by.channel_identities[*].identity", "body.recipient.contact_id"),
    ),
)
TWILIO: Final = (
    Route(
        path=r"/Messages\.json$",
        channel="sms",
        skip=words("StatusCallback ApplicationSid MessagingServiceSid ContentSid MediaUrl ScheduleType SendAt"),
        reply_skip=words(
            "sid account_sid messaging_service_sid uri to from status direction api_version date_created "
            "date_updated date_sent num_media num_segments price_unit subresource_uris"
        ),
        recipient=("body.To",),
        sender="body.From",
        codec="form",
    ),
)
LLM: Final = (*OPENAI, *ANTHROPIC)


ROUTES: Final[Mapping[str, tuple[Route, ...]]] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "llm": LLM,
    "sinch": SINCH,
    "twilio": TWILIO,
}


def routes_of(routes: str | Sequence[Route]) -> Sequence[Route]:
    """
    Routes by the name of their provider, or as they are.

    Raises:
        ConfigError: The name is not known.
    """
    if not isinstance(routes, str):
        return tuple(routes)
    found = ROUTES.get(routes)
    if found is None:
        raise ConfigError(f"routes={routes!r} is not known; there are {', '.join(sorted(ROUTES))}, or a list of Route")
    return found
