"""Forms that are posted to Twilio: which of them are messages, what in them is whose, and which show what should be masked."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from guardrails.adapters.answers import Answer, parsed
from guardrails.adapters.kept import refuse_exposed
from guardrails.adapters.leaves import texts_of
from guardrails.adapters.llm import words
from guardrails.adapters.routes import TWILIO
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.payload import Item, Place
from guardrails.core.replies import own_reply
from guardrails.errors import Denied

_SKIP: Final = words(
    "StatusCallback ApplicationSid MessagingServiceSid ContentSid MediaUrl ScheduleType SendAt From Attempt "
    "MaxPrice ValidityPeriod ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction "
    "DateCreated DateUpdated MediaSid XTwilioWebhookEnabled"
)
_REPLY_SKIP: Final = TWILIO[0].reply_skip | words("code more_info url links messaging_binding participant_sid index")
_TO: Final[Place] = (Item("To"),)
_MESSAGES: Final = re.compile(r"/Messages\.json$|/Conversations/(?P<conversation>[^/]+)/Messages$")
# Fields that carry words to a person; a request with one of them that is not routed is refused.
_SAYS: Final = words(
    "Body Twiml Say Message ContentVariables Parameters CustomFriendlyName CustomMessage TemplateCustomSubstitutions"
)
# Fields that are kept and shown, of conversations, people, documents, tasks and templates; addresses of TwiML tell words, too.
_KEPT: Final = words(
    "FriendlyName UniqueName Attributes Data Content Channel Routing Url FallbackUrl AnnounceUrl "
    "friendly_name variables types"
)


class Posted:
    """
    One form that creates a message, and its answer.

    Args:
        form: Its fields.
        conversation: Twilio's id of the conversation that it belongs to.
        masks: Whether the answer is masked.
    """

    def __init__(self, form: dict[str, Any], conversation: str | None, *, masks: bool) -> None:
        self._texts = texts_of(form, skip=_SKIP, places=[_TO])
        self.answer: Answer = Answer(_REPLY_SKIP, masks=masks)
        to, sender = form.get("To"), form.get("From")
        self.message: Message = Message(
            self._texts.parts,
            channel="whatsapp" if str(to).startswith("whatsapp:") else "chat" if conversation else "sms",
            recipients=to if isinstance(to, str) else (),
            sender=sender if isinstance(sender, str) else None,
            conversation=conversation,
            metadata=self._texts.metadata,
        )

    def form(self, sealed: Message) -> Any:
        """What is posted."""
        return self._texts.put(sealed.parts)

    def read(self, response: Any) -> dict[str, str]:
        """The texts of Twilio's answer, for the guard to mask."""

        def rebuilt(data: Any) -> Any:
            text = data if isinstance(data, str) else json.dumps(data)
            return type(response)(response.status_code, text, response.headers)

        data = parsed(response.text)
        return self.answer.read(response, data, response.status_code, own_reply().whole, rebuilt)


def posted(method: str, uri: str, data: object, guard: Guard) -> Posted | None:
    """
    What is posted, if it is a message.

    Raises:
        Denied: It is none, and carries words to a person, or shows what should be masked.
    """
    if method.upper() != "POST" or not isinstance(data, dict):
        return None
    found = _MESSAGES.search(uri.partition("?")[0])
    if found is not None:
        return Posted(data, found["conversation"], masks=guard.masks)
    if any(data.get(field) for field in _SAYS & data.keys()):
        raise Denied("words that no route knows, such as TwiML: guard them before", control="twilio", sent=False)
    refuse_exposed(data, _KEPT, guard, control="twilio")
    return None
