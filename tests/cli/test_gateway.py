"""The gateway by itself, over real HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from guardrails.cli.client import Client, GatewayError
from guardrails.cli.gateway import ANSWER, MAX_BODY_BYTES, separate_process

GOOD = {"channel": "sms", "to": "+1 212 555 0101", "body": "hello"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with separate_process() as its_url:
        yield its_url


def ask(url: str, method: str, path: str, body: bytes | None = None, headers: Any = ()) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request(method, path, body, dict(headers))
        with connection.getresponse() as response:
            return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_what_was_posted_is_remembered_in_order() -> None:
    with separate_process() as url:
        client = Client(url)
        for number in range(5):
            client.post({**GOOD, "id": f"m{number}"})

        received = client.received()

    assert received == [{**GOOD, "id": f"m{number}"} for number in range(5)]
    assert received == client.posted


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body must be JSON in UTF-8"),
        (b"\xff\xfe", "the body must be JSON in UTF-8"),
        (b'{"channel": "sms"', "the body must be JSON in UTF-8"),
        (b"[" * 100_000, "the body must be JSON in UTF-8"),
        (b"[1]", "the body must be a JSON object"),
        (b'{"to": "a", "body": "b"}', "the field 'channel' must be a string"),
        (b'{"channel": "sms", "to": 5, "body": "b"}', "the field 'to' must be a string"),
        (b'{"channel": "sms", "to": "a", "body": "b", "id": 7}', "the field 'id' must be a string"),
    ],
)
def test_bad_input_is_refused_with_a_reason(url: str, body: bytes, says: str) -> None:
    assert ask(url, "POST", "/", body) == (400, {"error": says})


def test_other_paths_methods_and_sizes_are_refused(url: str) -> None:
    assert ask(url, "GET", "/")[0] == 404
    assert ask(url, "POST", "/messages", b"{}")[0] == 404
    assert ask(url, "POST", "/", b"", {"Content-Length": str(MAX_BODY_BYTES + 1)})[0] == 413
    assert ask(url, "POST", "/", b"", {"Content-Length": "9" * 5000})[0] == 413
    assert ask(url, "POST", "/", iter([b"{}"]), {"Transfer-Encoding": "chunked"})[0] == 411  # type: ignore[arg-type]  # http.client takes iterables


def test_a_refusal_never_repeats_what_was_sent(url: str) -> None:
    _, answer = ask(url, "POST", "/", b'{"channel": "sms", "to": "jamie.fields@example.org"}')

    assert "jamie" not in json.dumps(answer)


def test_the_llm_channel_answers_in_pieces(url: str) -> None:
    pieces = list(Client(url).stream({**GOOD, "channel": "llm"}))

    assert "".join(pieces) == ANSWER


def test_many_at_once_are_all_remembered() -> None:
    with separate_process() as url:
        client = Client(url)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda number: client.post({**GOOD, "id": str(number)}), range(200)))

        received = client.received() or []

    assert sorted(int(message["id"]) for message in received) == list(range(200))


def test_the_gateway_ends_with_its_parents_block() -> None:
    with separate_process() as url:
        address = (urlsplit(url).hostname, urlsplit(url).port)
        socket.create_connection(address, 5).close()

    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system likes
        socket.create_connection(address, 5).close()


def test_the_client_says_what_the_gateway_answered(url: str) -> None:
    with pytest.raises(GatewayError, match="the gateway answered 400") as caught:
        Client(url).post({"channel": "sms"})

    assert caught.value.status_code == 400


def test_the_client_does_not_quote_what_is_not_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"jamie.fields@example.org\r\n\r\n")

        babbling = pool.submit(babble)
        with pytest.raises(OSError, match="does not speak HTTP") as caught:
            Client(f"http://127.0.0.1:{server.getsockname()[1]}/").post(GOOD)
        babbling.result(5)

    assert "jamie" not in repr(caught.value)
    assert caught.value.__suppress_context__
