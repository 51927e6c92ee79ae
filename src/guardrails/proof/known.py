"""
Functions that send a message, by library: what `guardrails sends` looks for and `guardrails.tripwire` watches.

Names as the libraries document them; a team adds its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Library:
    """
    Sends of one library.

    Args:
        name: Its import name.
        channel: What it sends, where that is one thing.
        types: Qualified names of classes (or factories) whose objects send.
        methods: What is called on them, such as `"messages.create"`.
        functions: Qualified names of functions that send.
        remedy: How to guard it.
    """

    name: str
    channel: str
    types: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    remedy: str = "put @guard on the function that calls it, or guard.wrap(...) around it"


def _wrap(preset: str) -> str:
    return f'guard.wrap(..., preset="{preset}"), or @guard on the function that calls it'


LIBRARIES: Final = (
    Library(
        "twilio",
        "sms",
        ("twilio.rest.Client",),
        ("messages.create", "messages.create_async", "calls.create", "calls.create_async"),
        remedy="guardrails.integrations.twilio, or " + _wrap("twilio"),
    ),
    Library(
        "sinch",
        "sms",
        ("sinch.SinchClient", "sinch.SinchClientAsync"),
        ("sms.batches.send_sms", "sms.batches.send", "conversation.messages.send_text_message", "conversation.message.send"),
        remedy="guardrails.integrations.sinch, or " + _wrap("sinch-sms"),
    ),
    Library("vonage", "sms", ("vonage.Vonage", "vonage.Client"), ("messages.send", "sms.send"), remedy=_wrap("vonage")),
    Library("plivo", "sms", ("plivo.RestClient",), ("messages.create",)),
    Library("messagebird", "sms", ("messagebird.Client",), ("message_create",)),
    Library("pywa", "whatsapp", ("pywa.WhatsApp",), ("send_message", "send_text", "send_template"), remedy=_wrap("pywa")),
    Library(
        "smtplib",
        "email",
        ("smtplib.SMTP", "smtplib.SMTP_SSL", "smtplib.LMTP"),
        ("sendmail", "send_message"),
        remedy="guardrails.integrations.smtplib, or @guard on the function that calls it",
    ),
    Library(
        "aiosmtplib",
        "email",
        ("aiosmtplib.SMTP",),
        ("sendmail", "send_message"),
        ("aiosmtplib.send",),
        remedy="guardrails.integrations.aiosmtplib, or @guard on the function that calls it",
    ),
    Library(
        "django",
        "email",
        ("django.core.mail.EmailMessage", "django.core.mail.EmailMultiAlternatives",
         "django.core.mail.message.EmailMessage", "django.core.mail.message.EmailMultiAlternatives"),
        ("send",),
        ("django.core.mail.send_mail", "django.core.mail.send_mass_mail", "django.core.mail.mail_admins"),
    ),
    Library("flask_mail", "email", ("flask_mail.Mail",), ("send", "send_message")),
    Library("sendgrid", "email", ("sendgrid.SendGridAPIClient",), ("send", "client.mail.send.post"), remedy=_wrap("sendgrid")),
    Library("mailgun", "email", ("mailgun.client.Client",), ("messages.create",)),
    Library(
        "boto3",
        "other",
        ("boto3.client:sns", "boto3.client:sqs", "boto3.client:ses", "boto3.client:sesv2", "boto3.client:pinpoint",
         "boto3.client:pinpoint-sms-voice-v2"),
        ("publish", "publish_batch", "send_message", "send_message_batch", "send_email", "send_raw_email",
         "send_templated_email", "send_messages", "send_text_message", "send_voice_message"),
        remedy=_wrap("sns"),
    ),
    Library(
        "slack_sdk",
        "chat",
        ("slack_sdk.WebClient", "slack_sdk.web.async_client.AsyncWebClient", "slack_sdk.webhook.WebhookClient",
         "slack_sdk.webhook.async_client.AsyncWebhookClient", "slack_sdk.WebhookClient"),
        ("chat_postMessage", "chat_postEphemeral", "chat_update", "files_upload_v2", "send", "send_dict"),
        remedy=_wrap("slack"),
    ),
    Library("telegram", "chat", ("telegram.Bot",), ("send_message", "sendMessage", "send_photo", "send_document"),
            remedy=_wrap("telegram")),
    Library(
        "openai",
        "llm",
        ("openai.OpenAI", "openai.AsyncOpenAI", "openai.AzureOpenAI", "openai.AsyncAzureOpenAI"),
        ("chat.completions.create", "chat.completions.parse", "responses.create", "responses.parse", "completions.create",
         "embeddings.create", "beta.threads.messages.create"),
        ("openai.ChatCompletion.create",),
        remedy="a guarded transport: OpenAI(http_client=...) from guardrails.integrations.httpx2",
    ),
    Library(
        "anthropic",
        "llm",
        ("anthropic.Anthropic", "anthropic.AsyncAnthropic"),
        ("messages.create", "messages.stream"),
        remedy="a guarded transport: Anthropic(http_client=...) from guardrails.integrations.httpx",
    ),
    Library("litellm", "llm", (), (), ("litellm.completion", "litellm.acompletion")),
    Library("google.genai", "llm", ("google.genai.Client",), ("models.generate_content", "models.generate_content_stream")),
    Library("mistralai", "llm", ("mistralai.Mistral",), ("chat.complete", "chat.stream")),
    Library("firebase_admin", "push", (), (), ("firebase_admin.messaging.send", "firebase_admin.messaging.send_each")),
)  # fmt: skip

_TELLING: Final = frozenset({
    "chat_postEphemeral", "chat_postMessage", "chat_update", "files_upload_v2", "send_email", "send_message", "send_raw_email",
    "send_templated_email", "sendMessage", "sendmail",
})  # fmt: skip
# Distinctive enough to be asked about when nobody can tell what they are called on.
TAILS: Final[Mapping[str, tuple[Library, ...]]] = {
    method: tuple(library for library in LIBRARIES if method in library.methods)
    for one in LIBRARIES
    for method in one.methods
    if "." in method or method in _TELLING
}
