"""
One conversation, three channels: it starts on WhatsApp, goes through an agent, and ends in a call and an e-mail.

The same token stands for the customer's address everywhere; only what the customer sees or hears has the address itself. Sinch's
Conversation API is played by a server on this machine, the model and the mail server by classes of this file; the libraries are
the real ones. Run it: python examples/whatsapp_to_voice.py
"""

from __future__ import annotations

import http.server
import json
import re
import smtplib
import threading
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from sinch import SinchClient
from sinch.core.adapters.requests_http_transport import HTTPTransportRequests

from guardrails import AuditLog, Guard, MaskPII, context
from guardrails.integrations.langchain import GuardMiddleware
from guardrails.integrations.sinch import guard_client
from guardrails.integrations.smtplib import guard_smtp
from guardrails.pii import Vault

PHONE, ADDRESS, SUBJECT, CHAT = "+12125550173", "sam.rivers@example.com", "customer-17", "chat-a"
TOKEN = re.compile(r"IDEMAIL(?:-[a-z]{4})+")
seen: dict[str, str] = {}  # what stood in each channel, where others than the customer read


class Sinch(http.server.BaseHTTPRequestHandler):
    """Stands in for Sinch."""

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["content-length"]))
        answer: dict[str, Any] = {"access_token": "a", "token_type": "bearer", "scope": "", "expires_in": "60"}
        if "oauth2" not in self.path:
            seen["whatsapp"] = json.loads(body)["message"]["text_message"]["text"]
            answer = {"message_id": "m-1", "accepted_time": "2026-01-01T00:00:00Z"}
        written = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *arguments: object) -> None:
        """Stay quiet."""


class Local(HTTPTransportRequests):  # type: ignore[misc]  # sinch has no types
    """Sends to this machine instead of the internet."""

    port = 0

    def send_request(self, request_data: Any) -> Any:
        """Send one request."""
        request_data.url = f"http://127.0.0.1:{self.port}{urlsplit(request_data.url).path}"
        try:
            return super().send_request(request_data)
        finally:
            self.http_session.close()


class Model(GenericFakeChatModel):
    """A model that repeats whom it was asked about."""

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        seen["model"] = str(messages[-1].content)
        said = AIMessage(f"I shall confirm to {TOKEN.findall(seen['model'])[0]} by phone.")
        return ChatResult(generations=[ChatGeneration(message=said)])


class Server(smtplib.SMTP):
    """Stands in for a mail server."""

    def __init__(self) -> None:
        super().__init__()

    def send_message(self, msg: Any, *_: Any, **__: Any) -> dict[str, tuple[int, bytes]]:
        """Keep what would be sent."""
        seen["e-mail"] = str(msg.get_content()).strip()
        return {}


def main() -> None:
    """Hold the conversation."""
    vault = Vault()
    vault.link(f"whatsapp:{PHONE}", subject=SUBJECT, verified=True)
    vault.link(f"email:{ADDRESS}", subject=SUBJECT, verified=True)
    vault.link(f"conversation:{CHAT}", subject=SUBJECT)
    guard = Guard(AuditLog("audit"), MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sinch)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    client: Any = SinchClient(project_id="p", key_id="k", key_secret="s", conversation_region="eu")  # noqa: S106 - a stand-in
    Local.port = server.server_port
    client.configuration.transport = Local(client)
    guard_client(client, guard)

    with guard, context(conversation=CHAT):
        # 1. WhatsApp, through Sinch.
        client.conversation.messages.send_text_message(
            app_id="a",
            text=f"You asked to be reached at {ADDRESS}",
            recipient_identities=[{"channel": "WHATSAPP", "identity": PHONE}],
        )
        # 2. The agent: its model sees the token, the customer reads the address.
        agent = create_agent(Model(messages=iter(())), middleware=[GuardMiddleware(guard, reply="restore")])
        question: Any = {"messages": [{"role": "user", "content": f"Confirm to {ADDRESS}, please"}]}
        answer = agent.invoke(question)["messages"][-1].content
        print("customer reads:", answer)
        # 3. The call: what was said goes along.
        envelope = context.handoff(
            f"Asked to confirm to {ADDRESS}", guard=guard, channel="whatsapp", subject=SUBJECT, verification="otp"
        )
    server.shutdown()
    server.server_close()
    thread.join()

    guard = Guard(AuditLog("audit"), MaskPII(names="off", vault=vault, operators={"DEFAULT": "pseudonym"}))
    with guard, context.accept(envelope) as handoff:
        seen["call"] = handoff.summary
        print("customer hears:", vault.restore(handoff.summary, subject=str(handoff.subject)))
        # 4. The e-mail that ends it.
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "shop@example.com", ADDRESS, "Confirmed"
        mail.set_content(f"We confirmed to {ADDRESS}.")
        guard_smtp(Server(), guard).send_message(mail)

    tokens = {channel: TOKEN.findall(text) for channel, text in seen.items()}
    for channel, text in seen.items():
        print(f"{channel}: {TOKEN.sub('<token>', text)}")
    print("same token everywhere:", len({token for found in tokens.values() for token in found}) == 1)
    print("verified by:", handoff.verification)


if __name__ == "__main__":
    main()
