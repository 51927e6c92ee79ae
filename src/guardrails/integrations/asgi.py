"""
A guard around an ASGI application (Starlette, FastAPI, Django, FastMCP over HTTP): `GuardASGI(app, guard)`.

Bodies in JSON, forms and text arrive masked; answers leave masked: JSON whole, and text, events and lines of JSON as they pass.
Pure ASGI, so that context variables and background tasks work as before.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, TypeAlias

from guardrails.adapters.asgi import Answer, Receive, Scope, Send, header, held
from guardrails.adapters.asgi_bodies import Asked, is_read, read_body, replayed
from guardrails.adapters.asgi_refusals import refuse
from guardrails.adapters.llm import PIECES, events_with
from guardrails.core.context import current
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.replies import own_reply
from guardrails.errors import ConfigError, GuardrailsError

__all__ = ["GuardASGI"]

Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: Final = logging.getLogger("guardrails.asgi")
_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1; before it is accepted, servers answer 403
MOST_BYTES: Final = 1_048_576


class GuardASGI:
    """
    The guard around an application.

    Args:
        app: The application.
        guard: Its messages are the texts of a request's body; answers are masked where it has a mask control.
        paths: Prefixes of the paths that are guarded, as a client asks for them or within a mounted application.
        skip: Keys of JSON bodies, and fields of forms, that are no text, such as ids.
        pieces: Keys under which a stream of events sends a text in pieces, so that it is masked across them; `()` when
            every event stands for itself. OpenAI's and Anthropic's events are known, and events of plain text always go on.
        reply: "mask", "restore" or "pass".
        websockets: "pass" leaves websockets on guarded paths as they are, and says so once in the log; "refuse" closes them.
        most_bytes: Longer bodies of requests are refused with 413, longer JSON answers with 500.

    Raises:
        ConfigError: *websockets* is none of both.
    """

    def __init__(
        self,
        app: Application,
        guard: Guard,
        *,
        paths: Collection[str] = ("/",),
        skip: Collection[str] = (),
        pieces: Collection[str] = PIECES,
        reply: str | None = None,
        websockets: str = "pass",
        most_bytes: int = MOST_BYTES,
    ) -> None:
        if websockets not in ("pass", "refuse"):
            raise ConfigError('GuardASGI(websockets=...) is "pass" or "refuse"')
        self._app = app
        self._websockets = websockets
        self._guard = guard
        self._paths = tuple(paths)
        self._skip = frozenset(skip)
        self._reader = events_with(pieces)
        self._reply = reply or ("mask" if guard.masks else "pass")
        self._most = most_bytes
        self._has_said = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; what begins and ends the application passes."""
        if scope["type"] not in ("http", "websocket") or not self._is_guarded(scope):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        passes = self._reply == "pass"
        answer = Answer(send, self._reader, self._skip, self._most, method=scope["method"], passes=passes)
        refused: GuardrailsError
        try:
            await self._guarded(scope, receive, answer)
        except GuardrailsError as error:
            refused = error
        else:
            return
        if answer.has_started:
            raise refused  # too late for a status: the server cuts the connection
        await refuse(send, refused)

    def _is_guarded(self, scope: Scope) -> bool:
        """By the whole path, or by what is left of it below the place where the application is mounted or served."""
        path, root = f"/{scope['path'].lstrip('/')}", scope.get("root_path", "").rstrip("/")
        within = path.removeprefix(root) if path.startswith(f"{root}/") else path
        return bool(path.startswith(self._paths) or within.startswith(self._paths))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._websockets == "refuse":
            await receive()  # it asks to connect
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        if not self._has_said:
            self._has_said = True
            _log.warning('a websocket passes unguarded; GuardASGI(websockets="refuse") closes them')
        await self._app(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        kind = header(scope, b"content-type")
        body: bytes | None = None
        if is_read(kind) and (body := await read_body(receive, self._most)) is None:
            return  # the client has gone in the middle of it
        asked = Asked(kind, body, self._skip)
        ids = current.get()
        message = Message(
            asked.parts,
            channel="http",
            direction="inbound",
            conversation=ids.conversation,
            tenant=ids.tenant,
            actor=ids.actor,
        )

        async def serve(sealed: Message) -> None:
            answer.own = own_reply()
            if body is None:
                await self._app(held(scope), receive, answer.send)
                return
            changed = asked.put(sealed.parts)
            headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
            headers.append((b"content-length", str(len(changed)).encode()))
            await self._app({**held(scope), "headers": headers}, replayed(changed, receive), answer.send)

        await self._guard.arun(message, serve, reply=self._reply)
