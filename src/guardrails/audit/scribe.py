"""Puts together what the records of one log say of a message: intents, decisions and the digest of a reply."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

from guardrails.audit import fields, message_record
from guardrails.audit.digests import Digests
from guardrails.audit.fields import quote
from guardrails.audit.tracing import add_trace
from guardrails.core import forks
from guardrails.core.message_class import stated_class
from guardrails.errors import Blocked, Deferred, Denied, RateLimited

if TYPE_CHECKING:
    from guardrails.audit.bounds import Bounds
    from guardrails.audit.fields import Members
    from guardrails.audit.refusals import Kind
    from guardrails.core.call import Call
    from guardrails.core.control import Sealed
    from guardrails.keys import Keys

_REPLY_CHARACTERS: Final = 65_536  # of a reply, that are digested


class Scribe:
    """
    What a log says of messages.

    Args:
        keys: For digests.
        level: "metadata" or "masked".
        bounds: Recipients in a record, its bytes, and how many message keys are numbered.
    """

    __slots__ = ("__weakref__", "_attempts", "_digests", "_level", "_most_keys", "_most_recipients", "_numbering", "room")

    def __init__(self, keys: Keys, *, level: str, bounds: Bounds) -> None:
        self._digests = Digests(keys, cached=bounds.cached_digests)
        self._level = level
        self._most_recipients = bounds.recipients
        self._most_keys = bounds.message_keys
        self.room: int = bounds.record_bytes
        self._attempts: dict[str, int] = {}
        self.after_fork_in_child()
        forks.watch_in_child(self)

    def after_fork_in_child(self) -> None:
        """Whoever numbered in the parent is not here."""
        self._numbering = threading.RLock()  # a garbage collector may send while we number

    def try_key(self) -> None:
        """
        Use the key, so that one that cannot be had is found before the first send.

        Raises:
            ConfigError: The key cannot be used.
            Unavailable: The key provider raised.
        """
        self._digests.content("", None)

    def intent(self, call: Call, sealed: Sealed, event_id: str, *, emergency: bool) -> Members:
        """
        What is about to be sent.

        Args:
            call: The call.
            sealed: The message as it will be sent.
            event_id: The record's.
            emergency: Whether it goes to the emergency record.
        """
        members = self._about("intent" if call.canary is None else "canary", call, sealed, event_id)
        if emergency:
            members["emergency"] = '"emergency":true'
        add_trace(members)
        if call.canary is not None:
            members["canary"] = fields.word("canary", call.canary)
        if sealed.message_key is not None:
            members["attempt"] = f'"attempt":{self._attempt(members["message_key"])}'
        message_record.guards(members, sealed.verdicts, self.room)
        return members

    def decision(self, call: Call, kind: Kind, error: BaseException | None, event_id: str) -> Members:
        """
        What was refused, and why.

        Args:
            call: The call.
            kind: How it is counted.
            error: The refusal; None where a control replied itself.
            event_id: The record's.
        """
        sealed = call.so_far()
        members = self._about("decision", call, sealed, event_id)
        members["decision"] = fields.word("decision", kind.decision)
        members["deny_code"] = fields.word("deny_code", kind.deny_code)
        if kind.control:
            members["control"] = fields.word("control", kind.control)
        if isinstance(error, Denied):
            members["reason"] = fields.reason(str(error.reason))
        if isinstance(error, RateLimited):
            wait = None if error.retry_after is None else fields.milliseconds(error.retry_after)
            limit = {"name": error.limit, "retry_after_ms": wait, "scope": error.scope}
            members["limit"] = f'"limit":{fields.facts(limit)}'
        if isinstance(error, Blocked):
            members["findings"] = f'"findings":{fields.counts(error.findings)}'
        message_record.guards(members, sealed.verdicts, self.room)
        return members

    def label(self, address: str, tenant: str | None) -> str:
        """The digest of a recipient, as short as a fact of a record has to be."""
        (person,) = self._digests.recipients((address,), tenant)
        return str(json.loads(person)["digest"]).partition(":")[2]

    def reply_digest(self, reply: object, tenant: str | None) -> str | None:
        """The keyed digest of a reply that is text, or of the id that a provider gave the message."""
        named = reply if isinstance(reply, str) else _provider_id(reply)
        return None if not named else self._digests.reply(named[:_REPLY_CHARACTERS], tenant)

    def _about(self, stage: str, call: Call, sealed: Sealed, event_id: str) -> Members:
        message, digests = sealed.message, self._digests
        tenant, conversation, actor, key = message.tenant, message.conversation, message.actor, sealed.message_key
        recipients = digests.recipients(message.recipients[: self._most_recipients], tenant)
        parts = message.parts
        digest = None
        if parts:
            (text,) = parts.values() if len(parts) == 1 else (message.text,)
            digest = digests.content(text, tenant)
            del text
        members = message_record.about(stage, event_id, sealed, recipients, digest)
        if tenant is not None:
            members["tenant"] = f'"tenant":{self._identity(call, tenant, tenant)}'
        if conversation is not None:
            members["conversation"] = f'"conversation":{self._identity(call, conversation, tenant)}'
        if actor is not None:
            members["actor"] = f'"actor":{self._identity(call, actor, tenant)}'
        stated = stated_class(message)
        if isinstance(stated, str):
            members["message_class"] = fields.word("message_class", stated)
        if self._level == "masked" and parts:
            if call.is_masked:
                message_record.text(members, parts, self.room)
            else:
                members["text_omitted"] = fields.word("text_omitted", "not masked")
        if key is not None:
            members["message_key"] = f'"message_key":{quote(digests.identifier(key, tenant))}'
        return members

    def _identity(self, call: Call, value: str, tenant: str | None) -> str:
        return quote(value if call.is_opaque(value) else self._digests.identifier(value, tenant))

    def _attempt(self, key: str) -> int:
        """How often a message key has come to the door of this log, this time included."""
        attempts = self._attempts
        with self._numbering:
            attempts[key] = number = attempts.pop(key, 0) + 1
            if len(attempts) > self._most_keys:
                del attempts[next(iter(attempts))]
        return number


def decided(error: BaseException | None) -> str:
    """How a record names what became of a call that was not sent."""
    match error:
        case None:
            return "reply"
        case Deferred():
            return "defer"
        case Denied():
            return "deny"
        case Exception():
            return "error"
        case _:
            return "cancel"


def _provider_id(reply: object) -> str | None:
    """What providers call a message: Twilio's `sid`, others' `id` or `message_id`; of an object or a dict."""
    for name in ("sid", "message_id", "id"):
        found = reply.get(name) if isinstance(reply, dict) else getattr(reply, "__dict__", {}).get(name)
        if isinstance(found, str) and found:
            return found
    return None
