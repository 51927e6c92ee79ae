"""What a provider's client library would be: it posts messages to a gateway. Knows nothing of guards."""

from __future__ import annotations

import codecs
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from guardrails.cli.usage import UsageError

TIMEOUT_SECONDS: Final = 10.0
MAX_REPLY_BYTES: Final = 1_048_576
PIECE_BYTES: Final = 1_024


class GatewayError(Exception):
    """
    The gateway did not accept a message.

    Args:
        status_code: Its HTTP status.
    """

    def __init__(self, status_code: int) -> None:
        super().__init__(f"the gateway answered {status_code}")
        self.status_code = status_code


class Client:
    """
    Posts JSON to one URL, a connection for each message.

    Args:
        url: `http://` or `https://`, with a path if the gateway has one.

    Attributes:
        posted: Every message exactly as it was put on the wire, in the order in which the gateway accepted them.

    Raises:
        UsageError: *url* is none.
    """

    def __init__(self, url: str) -> None:
        try:
            split = urlsplit(url)
            port = split.port
        except ValueError:
            raise UsageError("--gateway is not a URL; write http://HOST:PORT/") from None
        if split.scheme not in {"http", "https"} or not split.hostname:
            raise UsageError("--gateway must be a URL such as http://HOST:PORT/")
        self._secure = split.scheme == "https"
        self._host = split.hostname
        self._port = port or (443 if self._secure else 80)
        self._path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        self.posted: list[dict[str, str]] = []

    def check_reachable(self) -> None:
        """
        Open a connection, and close it.

        Raises:
            UsageError: Nobody listens.
        """
        try:
            socket.create_connection((self._host, self._port), TIMEOUT_SECONDS).close()
        except OSError as error:
            problem = error.strerror or type(error).__name__
            raise UsageError(
                f"no gateway at {self._host}:{self._port} ({problem}); start it, or leave --gateway out"
            ) from None

    def post(self, message: dict[str, str]) -> str:
        """
        Send *message*; the reply's text.

        Raises:
            GatewayError: The gateway refused it.
            OSError: It could not be reached.
        """
        return "".join(self.stream(message))

    def stream(self, message: dict[str, str]) -> Iterator[str]:
        """Send *message*; the reply's text in pieces, as they arrive. Raises as `post`."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=TIMEOUT_SECONDS)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            body = json.dumps(message).encode()
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                if response.status // 100 != 2:  # noqa: PLR2004 - 2xx
                    raise GatewayError(response.status)
                self.posted.append(message)
                left = MAX_REPLY_BYTES
                while left > 0 and (piece := response.read1(min(left, PIECE_BYTES))):
                    left -= len(piece)
                    yield decoder.decode(piece)
                yield decoder.decode(b"", final=True)
        except http.client.HTTPException as error:
            # Its text may quote what arrived.
            raise OSError(f"the gateway does not speak HTTP ({type(error).__name__})") from None
        finally:
            connection.close()

    def received(self) -> list[dict[str, Any]] | None:
        """What the gateway says that it received; None when it does not tell."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/messages")
            with connection.getresponse() as response:
                if response.status != http.client.OK:
                    return None
                value = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            return value
        return None
