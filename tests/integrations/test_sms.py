# ruff: noqa: ARG002 - stand-ins take what the contract gives them
"""Twilio and Sinch: their real clients, a stand-in for the wire."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from sinch import SinchClient
from sinch.core.adapters.requests_http_transport import HTTPTransportRequests
from twilio.http import AsyncHttpClient, HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from guardrails import AuditLog, Guard, MaskPII, RateLimit, context
from guardrails.errors import Blocked, Denied, RateLimited
from guardrails.integrations.sinch import guard_client
from guardrails.integrations.twilio import guard_http_client
from tests.conftest import on_asyncio

PHONE = "+12125550173"
TEXT = "Write to ann@example.com"
MASKED = "Write to <EMAIL_ADDRESS>"


def guard(*controls: Any) -> Guard:
    return Guard(*controls, MaskPII(names="off"))


# -- Twilio ------------------------------------------------------------------------------------------------------------


class Wire(HttpClient):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(logging.getLogger("wire"), is_async=False)
        self.forms: list[Any] = []

    def request(self, method: str, uri: str, params: Any = None, data: Any = None, *rest: Any) -> Response:
        self.forms.append(data)
        return Response(201, json.dumps({"sid": "SM1", "body": "x"}))


class AsyncWire(AsyncHttpClient):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(logging.getLogger("wire"), is_async=True)
        self.forms: list[Any] = []

    async def request(self, method: str, uri: str, params: Any = None, data: Any = None, *rest: Any) -> Response:
        self.forms.append(data)
        return Response(201, json.dumps({"sid": "SM1", "body": "x"}))


def test_g3_twilio_messages_are_masked_and_their_recipients_are_not() -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    assert client.messages.create(to=PHONE, from_="+12125550100", body=TEXT).sid == "SM1"
    client.messages.create(to=f"whatsapp:{PHONE}", content_sid="HX1", content_variables=json.dumps({"1": TEXT}))
    assert wire.forms[0] == {"To": PHONE, "From": "+12125550100", "Body": MASKED}
    assert wire.forms[1]["ContentVariables"] == json.dumps({"1": MASKED})


def test_g1_twilio_refusals_send_nothing_and_calls_need_masked_words(tmp_path: Path) -> None:
    wire = Wire()
    guarded = guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="recipient"))
    client = Client("AC1", "token", http_client=guard_http_client(wire, guarded))
    client.messages.create(to=PHONE, from_="+12125550100", body=TEXT)
    with pytest.raises(RateLimited):
        client.messages.create(to=f"whatsapp:{PHONE}", from_="+12125550100", body=TEXT)
    with pytest.raises(Denied, match="TwiML"):
        client.calls.create(to=PHONE, from_="+12125550100", twiml=f"<Response><Say>{TEXT}</Say></Response>")
    client.messages("SM1").fetch()
    guarded.close()
    assert len(wire.forms) == 2
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert "5550173" not in written
    assert '"channel":"sms"' in written


def test_g3_an_address_of_a_file_that_shows_somebodys_is_refused() -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    client.messages.create(to=PHONE, from_="+12125550100", body="hello", media_url=["https://files.example.com/a.png"])
    with pytest.raises(Blocked, match="EMAIL_ADDRESS"):
        client.messages.create(
            to=PHONE, from_="+12125550100", body="hello", media_url=["https://files.example.com/?of=ann%40example.com"]
        )
    assert [form["MediaUrl"] for form in wire.forms] == [["https://files.example.com/a.png"]]


@pytest.mark.parametrize(
    "asks",
    [
        lambda client: client.conversations.v1.conversations.create(friendly_name=TEXT),
        lambda client: client.conversations.v1.conversations("CH1").participants.create(attributes=json.dumps({"a": TEXT})),
        lambda client: client.sync.v1.services("IS1").documents.create(data={"a": [TEXT]}),
        lambda client: client.sync.v1.services("IS1").sync_streams("TO1").stream_messages.create(data={"a": TEXT}),
        lambda client: client.taskrouter.v1.workspaces("WS1").tasks.create(attributes=json.dumps({"a": TEXT})),
        lambda client: client.calls.create(to=PHONE, from_="+1", url="https://example.com/?say=ann%40example.com"),
    ],
)
def test_g3_what_twilio_would_keep_and_show_is_refused_where_it_shows_somebodys_address(asks: Any) -> None:
    wire = Wire()
    with pytest.raises(Denied, match="EMAIL_ADDRESS in"):
        asks(Client("AC1", "token", http_client=guard_http_client(wire, guard())))
    assert wire.forms == []
    keeps = Guard(MaskPII(names="off", operators={"EMAIL_ADDRESS": "keep"}))
    asks(Client("AC1", "token", http_client=guard_http_client(wire, keeps)))
    asks(Client("AC1", "token", http_client=guard_http_client(wire, Guard())))
    assert len(wire.forms) == 2


def test_g3_variables_of_a_template_are_read_as_the_json_that_they_are() -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    said = '{"1": "ann\\u0040example.com \\u00eb", "From": "eve@example.com", "n": 1.50}'
    client.messages.create(to=PHONE, from_="+12125550100", content_sid="HX1", content_variables=said)
    client.messages.create(to=PHONE, from_="+12125550100", content_sid="HX1", content_variables='{"1": "\\u00eb"}')
    client.messages.create(to=PHONE, from_="+12125550100", content_sid="HX1", content_variables=TEXT)
    assert [form["ContentVariables"] for form in wire.forms] == [
        '{"1": "<EMAIL_ADDRESS> \\u00eb", "From": "<EMAIL_ADDRESS>", "n": 1.50}',
        '{"1": "\\u00eb"}',
        MASKED,
    ]


@pytest.mark.parametrize(
    "asks",
    [
        {"data": "Body=hello"},
        {"data": b"Body=hello"},
        {"params": {"Body": "hello"}},
        {"params": {"a": 1}, "data": {"Body": "a"}},
    ],
)
def test_g2_a_message_that_is_written_in_another_way_is_refused(asks: dict[str, Any]) -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    with pytest.raises(Denied, match="cannot be looked into"):
        client.request("POST", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json", **asks)
    assert wire.forms == []


@pytest.mark.parametrize("shown", [PHONE, f"whatsapp:{PHONE}", "+44 20 7946 0958"])
def test_g3_a_telephone_number_in_what_twilio_keeps_is_refused_and_a_name_or_an_order_is_not(shown: str) -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    with pytest.raises(Denied, match="PHONE_NUMBER in FriendlyName"):
        client.conversations.v1.conversations.create(friendly_name=f"with {shown}")
    client.conversations.v1.conversations.create(friendly_name="with Ann Lee", attributes=json.dumps({"order": 2125550173}))
    keeps = Guard(MaskPII(names="off", operators={"PHONE_NUMBER": "keep"}))
    client = Client("AC1", "token", http_client=guard_http_client(wire, keeps))
    client.conversations.v1.conversations.create(friendly_name=f"with {shown}")
    assert len(wire.forms) == 2


def test_what_twilio_keeps_and_shows_nobody_passes_without_a_recipient() -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard(RateLimit("1/hour", per="recipient"))))
    for _ in range(2):
        client.conversations.v1.conversations.create(friendly_name="support", attributes=json.dumps({"a": 1}))
    client.conversations.v1.conversations("CH1").participants.create(identity="ann@example.com")
    assert len(wire.forms) == 3


@pytest.mark.parametrize("field", ["custom_message", "template_custom_substitutions", "custom_friendly_name"])
def test_g3_words_of_a_verification_are_refused(field: str) -> None:
    wire = Wire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    with pytest.raises(Denied, match="words that no route knows"):
        client.verify.v2.services("VA1").verifications.create(to=PHONE, channel="sms", **{field: "hello"})
    client.verify.v2.services("VA1").verifications.create(to=PHONE, channel="sms")
    assert len(wire.forms) == 1


def test_g3_twilio_awaited() -> None:
    wire = AsyncWire()
    client = Client("AC1", "token", http_client=guard_http_client(wire, guard()))
    on_asyncio(lambda: client.messages.create_async(to=PHONE, from_="+12125550100", body=TEXT))
    assert wire.forms[0]["Body"] == MASKED


# -- Sinch -------------------------------------------------------------------------------------------------------------


class Api(http.server.ThreadingHTTPServer):
    """A stand-in for Sinch's servers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[tuple[str, Any]] = []
        self.refusals = 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        status, answer = 201, {"message_id": "m1", "accepted_time": "2026-01-01T00:00:00Z"}
        if "oauth2" in self.path:
            status, answer = 200, {"access_token": "a", "scope": "", "token_type": "bearer", "expires_in": "3600"}
        else:
            self.server.bodies.append((self.path, json.loads(data)))
            if "xms" in self.path:
                answer = {"id": "b1", "from": "shop", "body": "x", "type": "mt_text"}
            if self.server.refusals:
                self.server.refusals -= 1
                status = 429
        written = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sinch(api: Api, guarded: Guard) -> Any:
    class Local(HTTPTransportRequests):  # type: ignore[misc]
        def send_request(self, request_data: Any) -> Any:
            path = urlsplit(request_data.url).path
            request_data.url = f"http://127.0.0.1:{api.server_port}{path}"
            try:
                return super().send_request(request_data)
            finally:
                self.http_session.close()

    client = SinchClient(
        project_id="p",
        key_id="k",
        key_secret="s",
        service_plan_id="plan",
        sms_api_token="t",
        sms_region="us",
        conversation_region="us",
    )
    client.configuration.transport = Local(client)
    return guard_client(client, guarded)


def test_g3_sinch_batches_and_conversations_are_masked(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    client = sinch(api, guard())
    with caplog.at_level(logging.DEBUG), context(conversation="c-1"):
        client.sms.batches.send_sms(to=[PHONE], from_="shop", body=TEXT, parameters={"mail": {PHONE: TEXT}})
        client.conversation.messages.send_text_message(
            app_id="a", text=TEXT, recipient_identities=[{"channel": "WHATSAPP", "identity": PHONE}]
        )
    (_, batch), (_, message) = api.bodies
    assert batch["body"] == MASKED
    assert batch["to"] == [PHONE]
    assert batch["parameters"] == {"mail": {PHONE: MASKED}}
    assert message["message"]["text_message"]["text"] == MASKED
    assert message["recipient"]["identified_by"]["channel_identities"][0]["identity"] == PHONE
    assert "ann@example.com" not in caplog.text


def test_g3_sinch_media_arrives_and_a_conversations_own_metadata_is_text(api: Api) -> None:
    client = sinch(api, guard())
    picture = {"url": "https://files.example.com/a.png", "message": TEXT}
    client.sms.batches.send_mms(to=[PHONE], from_="shop", body=picture)
    client.conversation.messages.send_text_message(
        app_id="a", text="hello", contact_id="c", conversation_metadata={"id": TEXT, "type": TEXT, "order": "o-1"}
    )
    (_, batch), (_, message) = api.bodies
    assert batch["body"] == {**picture, "message": MASKED}
    assert message["conversation_metadata"] == {"id": MASKED, "type": MASKED, "order": "o-1"}


def test_g6_sinch_retries_are_charged_once_and_refusals_send_nothing(api: Api) -> None:
    client = sinch(api, guard(RateLimit("1/hour", per="recipient")))
    api.refusals = 1
    client.sms.batches.send_sms(to=[PHONE], from_="shop", body=TEXT)
    assert len(api.bodies) == 2
    with pytest.raises(RateLimited):
        client.sms.batches.send_sms(to=[PHONE], from_="shop", body=TEXT)
    assert len(api.bodies) == 2


def test_g3_a_rehearsal_is_masked_for_sinch_receives_it_and_counts_nothing(api: Api) -> None:
    client = sinch(api, guard(RateLimit("1/hour", per="recipient")))
    for _ in range(2):
        with contextlib.suppress(ValueError):  # the stand-in's answer is another one
            client.sms.batches.dry_run_sms(to=[PHONE], from_="shop", body=TEXT)
    client.sms.batches.send_sms(to=[PHONE], from_="shop", body="hello")
    assert [(path.rpartition("/")[2], body["body"]) for path, body in api.bodies] == [
        ("dry_run", MASKED),
        ("dry_run", MASKED),
        ("batches", "hello"),
    ]


def test_g1_a_request_to_sinch_that_sends_and_has_no_route_is_refused(api: Api) -> None:
    client = sinch(api, guard())
    with pytest.raises(Denied, match="no route"):
        client.sms.batches.update_sms(batch_id="b1", from_="shop", body=TEXT, to_add=[PHONE])
    assert api.bodies == []


def test_g3_messages_that_are_put_into_a_conversation_of_sinch_are_refused(api: Api) -> None:
    client = sinch(api, guard())
    request = SimpleNamespace(
        url=f"http://127.0.0.1:{api.server_address[1]}/v1/projects/p/conversations/c1:inject-message",
        http_method="POST",
        request_body=json.dumps({"app_message": {"text_message": {"text": TEXT}}}),
    )
    with pytest.raises(Denied, match="no route"):
        client.configuration.transport.send_request(request)
    assert api.bodies == []
