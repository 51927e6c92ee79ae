"""Forms that are posted to Twilio: which of them are messages, what in them is whose, and which show what should be masked."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from guardrails.adapters.answers import Answer, parsed
from guardrails.adapters.kept import refuse_exposed
from guardrails.adapters.leaves import Texts, texts_of
from guardrails.adapters.llm import words
from guardrails.adapters.routes import TWILIO
from guardrails.core.codecs import decode, encode
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
    "FriendlyName UniqueName Attributes Data Content Channel Routing Url FallbackUrl AnnounceUrl Description Reason Comment "
    "CallReason Tags friendly_name variables types"
)
# Fields that hold JSON, in which `\u00eb` is a letter of somebody's name.
_JSON: Final = words("ContentVariables Attributes")
_WRITES: Final = words("POST PUT PATCH")


class Posted:
    """
    One form that creates a message, and its answer.

    Args:
        form: Its fields.
        conversation: Twilio's id of the conversation that it belongs to.
        masks: Whether the answer is masked.
    """

    def __init__(self, form: dict[str, Any], conversation: str | None, *, masks: bool) -> None:
        self._boxed = {field: texts for field in _JSON & form.keys() if (texts := _unboxed(form[field])) is not None}
        boxes = [(Item(field),) for field in self._boxed]
        self._texts = texts_of(form, skip=_SKIP, places=[_TO, *boxes])
        self.answer: Answer = Answer(_REPLY_SKIP, masks=masks)
        to, sender = form.get("To"), form.get("From")
        inside = {f"{at}|json.{path}": text for at, texts in self._boxed.items() for path, text in texts.parts.items()}
        beside = [one for texts in (self._texts, *self._boxed.values()) for one in texts.beside]
        self.message: Message = Message(
            {**self._texts.parts, **inside} or {"request": ""},
            channel="whatsapp" if str(to).startswith("whatsapp:") else "chat" if conversation else "sms",
            recipients=to if isinstance(to, str) else (),
            sender=sender if isinstance(sender, str) else None,
            conversation=conversation,
            metadata=Texts(form, beside=beside).metadata,
        )

    def form(self, sealed: Message) -> Any:
        """What is posted."""
        form: Any = self._texts.put(sealed.parts)
        news = {
            at: encode(texts.put({path: sealed.parts[f"{at}|json.{path}"] for path in texts.parts}), "json", like=form[at])
            for at, texts in self._boxed.items()
        }
        return {**form, **news}

    def read(self, response: Any) -> dict[str, str]:
        """The texts of Twilio's answer, for the guard to mask."""

        def rebuilt(data: Any) -> Any:
            text = data if isinstance(data, str) else json.dumps(data)
            return type(response)(response.status_code, text, response.headers)

        data = parsed(response.text)
        return self.answer.read(response, data, response.status_code, own_reply().whole, rebuilt)


def _unboxed(value: object) -> Texts | None:
    """The texts of a field that holds JSON; None where it holds none."""
    try:
        return texts_of(decode(value, "json"))
    except Denied:
        return None


def posted(method: str, uri: str, params: object, data: object, guard: Guard) -> Posted | None:
    """
    What is posted, if it is a message.

    Args:
        method: HTTP's.
        uri: Where to.
        params: What the address asks besides.
        data: The form; some of Twilio's own requests have none.
        guard: Whose mask says what may pass.

    Raises:
        Denied: It is none, and carries words to a person, or shows what should be masked.
    """
    if method.upper() not in _WRITES or not (data or params):
        return None
    if not isinstance(data, dict):
        raise Denied("a form that is no dict cannot be looked into", control="twilio", sent=False)
    found = _MESSAGES.search(uri.partition("?")[0])
    if found is not None:
        if params:
            raise Denied("a message in its address cannot be looked into", control="twilio", sent=False)
        return Posted(data, found["conversation"], masks=guard.masks)
    if any(data.get(field) for field in _SAYS & data.keys()):
        raise Denied("words that no route knows, such as TwiML: guard them before", control="twilio", sent=False)
    refuse_exposed(data, _KEPT, guard, control="twilio")
    return None
