# ruff: noqa: ARG002 - stand-ins take what the library gives them
"""Twilio and Sinch: their real clients above a stand-in for the wire."""

from __future__ import annotations

import io
import json
import logging
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from sinch import SinchClient
from sinch.core.exceptions import SinchException
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient, HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from guardrails.errors import GuardrailsError
from guardrails.integrations.sinch import guard_client
from guardrails.integrations.twilio import guard_http_client
from tests.integrations.conformance.contract import PHONE, SECRET, Host

SHOP = "+12125550100"


class Twilio(Host):
    name = "twilio"
    package = "twilio"
    modes = ("sync", "async", "sync whatsapp", "sync conversation")
    refusal = (GuardrailsError,)
    error = (TwilioRestException,)
    without: ClassVar[Any] = {
        7: "the client has no retries of its own",
        ("sync conversation", 2): "a conversation has participants, and a message no recipient",
    }

    def answered(self, data: dict[str, Any]) -> Response:
        fault = self.arrived(json.dumps(data), *([str(data["To"]).removeprefix("whatsapp:")] if "To" in data else []))
        if fault:
            return Response(400, json.dumps({"code": 21211, "message": f"no {SECRET}", "status": 400}))
        return Response(201, json.dumps({"sid": "SM1", "body": self.answer, "to": data.get("To")}))

    def asked(self, text: str) -> dict[str, Any]:
        to = f"whatsapp:{PHONE}" if "whatsapp" in self.mode else PHONE
        asked: dict[str, Any] = {"to": to, "from_": SHOP, "body": text}
        if "whatsapp" in self.mode:
            asked = {"to": to, "from_": SHOP, "content_sid": "HX1", "content_variables": json.dumps({"1": text})}
        self.given = [asked]
        return asked

    def send_now(self, text: str) -> str:
        host = self

        class Wire(HttpClient):  # type: ignore[misc]  # twilio has no types
            def request(
                self, method: str, uri: str, params: Any = None, data: Any = None, headers: Any = None, *rest: Any
            ) -> Any:
                self.log_request({"method": method, "url": uri, "params": params, "data": data, "headers": headers or {}})
                return host.answered(data)

        wire = Wire(logging.getLogger("twilio.wire"), is_async=False)
        client = Client("AC1", "token", http_client=guard_http_client(wire, self.guard))
        if self.mode == "sync conversation":
            self.given = [{"body": text}]
            made = client.conversations.v1.conversations(self.conversation or "CH1").messages.create(
                author="shop", body=text
            )
        else:
            made = client.messages.create(**self.asked(text))
        return str(made.body)

    async def asend(self, text: str) -> str:
        host = self

        class Wire(AsyncHttpClient):  # type: ignore[misc]  # twilio has no types
            async def request(
                self, method: str, uri: str, params: Any = None, data: Any = None, headers: Any = None, *rest: Any
            ) -> Any:
                self.log_request({"method": method, "url": uri, "params": params, "data": data, "headers": headers or {}})
                response = host.answered(data)
                await host.hold()
                return response

        wire = Wire(logging.getLogger("twilio.wire"), is_async=True)
        client = Client("AC1", "token", http_client=guard_http_client(wire, self.guard))
        return str((await client.messages.create_async(**self.asked(text))).body)


class _Wire(BaseAdapter):
    """What `requests` takes for a connection."""

    def __init__(self, to: Sinch) -> None:
        super().__init__()
        self._host = to

    def send(self, request: Any, *_: Any, **__: Any) -> Any:
        body = request.body
        sent = body.decode() if isinstance(body, bytes) else body or "{}"
        answer: Any = requests.Response()
        answer.status_code, said = self._host.answered(request.url, sent)
        answer.headers["Content-Type"] = "application/json"
        answer.raw = io.BytesIO(json.dumps(said).encode())
        answer.url, answer.request = request.url, request
        return answer

    def close(self) -> None: ...


class Sinch(Host):
    name = "sinch"
    package = "sinch"
    modes = ("sms", "conversation")
    refusal = (GuardrailsError,)
    error = (SinchException,)
    needs_filter = True  # it logs what it is answered below our hook
    without: ClassVar[Any] = {11: "the client is sync"}

    @property
    def is_async(self) -> bool:
        return False

    def start(self) -> None:
        self.client: Any = SinchClient(
            project_id="p",
            key_id="k",
            key_secret="s",
            service_plan_id="plan",
            sms_api_token="t",
            sms_region="us",
            conversation_region="us",
        )
        self.client.configuration.transport.http_session.mount("https://", _Wire(self))  # below the client's own log
        guard_client(self.client, self.guard)

    def answered(self, url: str, sent: str) -> tuple[int, dict[str, Any]]:
        if "oauth2" in urlsplit(url).path:
            return 200, {"access_token": "a", "scope": "", "token_type": "bearer", "expires_in": "3600"}
        body = json.loads(sent)
        people = body["to"] if "to" in body else [_identity(body)]
        fault = self.arrived(sent, *people)
        said: dict[str, Any] = {"id": "b1", "from": "shop", "body": self.answer, "type": "mt_text", "to": people}
        if "to" not in body:
            said = {"message_id": "m1", "accepted_time": "2026-01-01T00:00:00Z", "note": self.answer}
        if fault:
            said = {"error": {"message": f"no {SECRET}"}, "text": SECRET}
        return {"busy": 429, "error": 400, None: 201}[fault], said

    def send_now(self, text: str) -> str:
        if self.mode == "sms":
            asked: dict[str, Any] = {"to": [PHONE], "from_": "shop", "body": text, "parameters": {"mail": {PHONE: text}}}
            self.given = [asked]
            return str(self.client.sms.batches.send_sms(**asked))
        asked = {"text": text, "recipient_identities": [{"channel": "WHATSAPP", "identity": PHONE}]}
        self.given = [asked]
        return str(self.client.conversation.messages.send_text_message(app_id="a", **asked))


def _identity(body: dict[str, Any]) -> str:
    return str(body["recipient"]["identified_by"]["channel_identities"][0]["identity"])


HOSTS = (Twilio, Sinch)
