"""
Selectors for the sends of well-known libraries: `guard.wrap(client.messages.create, preset="twilio")`.

A row is what somebody would write in `guard.wrap(..., text=..., recipient=...)`; options that are given win over it.
Checked against the real packages by tests/integrations/test_presets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Preset:
    """
    One library's send.

    Args:
        text: Selectors of its texts.
        recipient: Selectors of who receives it.
        conversation: Selector of the conversation's id.
        channel: The channel, where the library has only one.
        sends: What it is for.
        sender: Selectors of who sends it, and who is answered.
    """

    text: tuple[str, ...]
    recipient: tuple[str, ...] = ()
    conversation: str | None = None
    channel: str | None = None
    sends: str = ""
    sender: tuple[str, ...] = ()


PRESETS: Final[Mapping[str, Preset]] = {
    "twilio": Preset(
        ("body", "content_variables|json"), ("to",), sends="twilio: Client(...).messages.create, create_async"
    ),
    "sinch-sms": Preset(
        ("body", "parameters"), ("to",), channel="sms", sends="sinch: SinchClient(...).sms.batches.send_sms"
    ),
    "sinch-conversation": Preset(
        ("text",),
        ("recipient_identities[*].identity",),
        "contact_id",
        sends="sinch: SinchClient(...).conversation.messages.send_text_message",
    ),
    "vonage": Preset(("message.text", "failover"), ("message.to",), sends="vonage: Vonage(...).messages.send"),
    "pywa": Preset(
        ("text", "header", "footer"), ("to",), channel="whatsapp", sends="pywa: WhatsApp(...).send_message, send_text"
    ),
    "discord": Preset(("content",), channel="chat", sends="discord.py: channel.send, without embeds"),
    "sendgrid": Preset(
        ("message.subject", "message.content[*].value"),
        ("message.personalizations[*].to[*].email",),
        channel="email",
        sends="sendgrid: SendGridAPIClient(...).send, with mail.get()",
        sender=("message.from.email", "message.reply_to.email"),
    ),
    "slack": Preset(
        ("text", "markdown_text", "blocks", "attachments"),
        ("channel",),
        "thread_ts",
        "chat",
        sends="slack_sdk: WebClient(...).chat_postMessage, chat_postEphemeral, chat_update",
    ),
    "telegram": Preset(
        ("text",), ("chat_id",), channel="chat", sends="python-telegram-bot: Bot(...).send_message, with a str chat_id"
    ),
    "sns": Preset(("Message", "Subject"), ("PhoneNumber",), sends="boto3: client('sns').publish"),
    "sqs": Preset(("MessageBody",), sends="boto3: client('sqs').send_message"),
    "sesv2": Preset(
        ("Content.Simple.Subject.Data", "Content.Simple.Body.Text.Data", "Content.Simple.Body.Html.Data"),
        ("Destination.ToAddresses", "Destination.CcAddresses", "Destination.BccAddresses"),
        channel="email",
        sends="boto3: client('sesv2').send_email, simple content",
        sender=("FromEmailAddress", "ReplyToAddresses", "FeedbackForwardingEmailAddress"),
    ),
    "sms-voice-v2": Preset(
        ("MessageBody",),
        ("DestinationPhoneNumber",),
        channel="sms",
        sends="boto3: client('pinpoint-sms-voice-v2').send_text_message",
    ),
}


def preset_options(name: str, options: Mapping[str, Any], conventional: object) -> dict[str, Any]:
    """
    *options* of a decoration, with what the preset *name* says in place of those that were left out.

    Raises:
        ConfigError: There is no such preset.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise ConfigError(f"preset={name!r} is not known; there are: {', '.join(sorted(PRESETS))}")
    row = {
        "text": preset.text,
        "recipient": preset.recipient or None,
        "conversation": preset.conversation,
        "channel": preset.channel,
        "sender": preset.sender or conventional,
    }
    left_out = {role: value for role, value in row.items() if options.get(role, conventional) in (conventional, None)}
    return {**options, **left_out}
