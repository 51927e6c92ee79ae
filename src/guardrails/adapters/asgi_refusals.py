"""A refusal as an answer of HTTP."""

from __future__ import annotations

import json

from guardrails.adapters.asgi import Send
from guardrails.errors import Denied, GuardrailsError, RateLimited
from guardrails.ratelimit.fields import rate_limit_fields


async def refuse(send: Send, error: GuardrailsError) -> None:
    """Answer with what was refused, and why; the words of an error hold nobody's data."""
    headers = [(b"content-type", b"application/json")]
    if isinstance(error, RateLimited):
        headers += [(name.lower().encode(), value.encode()) for name, value in rate_limit_fields(error).items()]
    body = json.dumps({"error": type(error).__name__, "message": str(error)}).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": _status(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _status(error: GuardrailsError) -> int:
    match error:
        case Denied(control="range"):
            return 416  # asked again without a range, it is masked as a whole
        case Denied(sent=True) | Denied(sent=None):
            return 500  # the application has answered, and its answer is withheld
        case RateLimited():
            return 429
        case Denied(control="caps"):
            return 413
        case Denied(control="binding"):
            return 400  # not what its content type says
        case Denied():
            return 403
        case _:
            return 503
