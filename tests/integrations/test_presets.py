"""Every preset against the real library's send, with nothing behind it that could send."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from vonage_messages import Sms

from guardrails import Guard, MaskPII, Message
from guardrails.core.call import Call
from guardrails.core.control import Forward, Io
from guardrails.core.presets import PRESETS
from guardrails.errors import ConfigError

TEXT = "Write to ann@example.com"
MASKED = "Write to <EMAIL_ADDRESS>"
PHONE = "+12125550173"


class Keep:
    """Keeps the message that would be sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: ARG002 - the contract
        self.messages.append(call.message)
        return await forward(call)


def twin(real: Callable[..., Any], sent: list[inspect.BoundArguments]) -> Callable[..., Any]:
    """A function with the real one's signature, that keeps its arguments."""
    signature = inspect.signature(real)
    signature = signature.replace(parameters=[one for name, one in signature.parameters.items() if name != "self"])

    def send(*args: Any, **kwargs: Any) -> None:
        sent.append(signature.bind(*args, **kwargs))

    send.__signature__ = signature  # type: ignore[attr-defined]
    return send


def attribute(path: str) -> Any:
    module, _, rest = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in rest.split("."):
        found = getattr(found, name)
    return found


BLOCKS: list[Any] = [{"type": "section", "text": {"type": "mrkdwn", "text": TEXT}}]
MAIL: dict[str, Any] = {
    "personalizations": [{"to": [{"email": "bob@example.com"}]}],
    "subject": TEXT,
    "content": [{"type": "text/plain", "value": TEXT}],
}
CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "twilio",
        "twilio.rest.api.v2010.account.message:MessageList.create",
        {"to": PHONE, "from_": "shop", "body": TEXT},
        [PHONE],
    ),
    (
        "twilio",
        "twilio.rest.api.v2010.account.message:MessageList.create",
        {"to": PHONE, "content_sid": "HX1", "content_variables": '{"1": "Write to ann@example.com"}'},
        [PHONE],
    ),
    ("sinch-sms", "sinch.domains.sms.api.v1:Batches.send_sms", {"to": [PHONE], "from_": "shop", "body": TEXT}, [PHONE]),
    (
        "sinch-conversation",
        "sinch.domains.conversation.api.v1:Messages.send_text_message",
        {"app_id": "a", "text": TEXT, "recipient_identities": [{"channel": "SMS", "identity": PHONE}]},
        [PHONE],
    ),
    ("slack", "slack_sdk:WebClient.chat_postMessage", {"channel": "C1", "text": TEXT, "thread_ts": "1.0"}, ["C1"]),
    ("slack", "slack_sdk:WebClient.chat_postEphemeral", {"channel": "C1", "user": "U1", "blocks": BLOCKS}, ["C1"]),
    ("slack", "slack_sdk:WebClient.chat_update", {"channel": "C1", "ts": "1.0", "attachments": [{"text": TEXT}]}, ["C1"]),
    ("sendgrid", "sendgrid:SendGridAPIClient.send", {"message": MAIL}, ["bob@example.com"]),
    (
        "vonage",
        "vonage_messages:Messages.send",
        {"message": Sms(to="12125550173", from_="shop", text=TEXT, client_ref=None, ttl=None)},
        ["12125550173"],
    ),
    ("telegram", "telegram:Bot.send_message", {"chat_id": "42", "text": TEXT}, ["42"]),
    ("discord", "discord.abc:Messageable.send", {"content": TEXT}, []),
    ("pywa", "pywa:WhatsApp.send_message", {"to": PHONE, "text": TEXT}, [PHONE]),
]


@pytest.mark.parametrize(("preset", "path", "given", "people"), CASES, ids=[row[1].rpartition(".")[2] for row in CASES])
@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")  # discord.py imports it
def test_g3_a_preset_masks_the_text_and_knows_the_recipient(
    preset: str, path: str, given: dict[str, Any], people: list[str]
) -> None:
    sent: list[inspect.BoundArguments] = []
    keep = Keep()
    send = Guard(MaskPII(names="off"), keep).wrap(twin(attribute(path), sent), preset=preset)
    send(**given)
    assert "ann@example.com" not in repr(sent[0].arguments)
    assert "<EMAIL_ADDRESS>" in repr(sent[0].arguments)
    assert list(keep.messages[0].recipients) == people


OPERATIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("sns", "sns", "publish", {"PhoneNumber": PHONE, "Message": TEXT}),
    ("sqs", "sqs", "send_message", {"QueueUrl": "https://sqs.example.com/q", "MessageBody": TEXT}),
    (
        "sms-voice-v2",
        "pinpoint-sms-voice-v2",
        "send_text_message",
        {"DestinationPhoneNumber": PHONE, "MessageBody": TEXT},
    ),
    (
        "sesv2",
        "sesv2",
        "send_email",
        {
            "Destination": {"ToAddresses": ["bob@example.com"]},
            "Content": {"Simple": {"Subject": {"Data": TEXT}, "Body": {"Text": {"Data": TEXT}}}},
        },
    ),
]


@pytest.mark.parametrize(("preset", "service", "operation", "given"), OPERATIONS, ids=[row[0] for row in OPERATIONS])
def test_g3_operations_of_boto3_get_masked_parameters(
    preset: str, service: str, operation: str, given: dict[str, Any]
) -> None:
    client: Any = boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        endpoint_url="https://aws.example.com",
    )
    masked = json.loads(json.dumps(given).replace(TEXT, MASKED))
    answer = {"MessageId": "m-1"}
    with Stubber(client) as stub:  # refuses any other parameters
        stub.add_response(operation, answer, masked)
        sent = Guard(MaskPII(names="off")).wrap(getattr(client, operation), preset=preset)(**given)
    assert sent["MessageId"] == "m-1"
    assert TEXT in json.dumps(given)


def test_options_that_are_given_win_over_the_preset() -> None:
    keep = Keep()

    def create(to: str, body: str, note: str) -> None: ...

    Guard(keep).wrap(create, preset="twilio", text=["note"], channel="whatsapp")(PHONE, "x", "y")
    assert dict(keep.messages[0].parts) == {"note": "y"}
    assert keep.messages[0].channel == "whatsapp"


def test_an_unknown_preset_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="there are: discord, pywa"):
        Guard().wrap(print, preset="twillio")


def test_every_preset_says_what_it_is_for() -> None:
    assert all(": " in preset.sends for preset in PRESETS.values())
