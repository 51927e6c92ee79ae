# ruff: noqa: ARG002 - handlers take what a request gives them
"""A guarded Starlette application, asked through its own test client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from guardrails import AuditLog, Guard, MaskPII, RateLimit, context
from guardrails.errors import ConfigError
from guardrails.integrations.asgi import GuardASGI
from tests.conftest import on_asyncio

TEXT = "Write to ann@example.com"
MASKED = "Write to <EMAIL_ADDRESS>"


class Shop:
    """An application, and what reached it."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        routes = [
            Route("/echo", self.echo, methods=["POST"]),
            Route("/events", self.events),
            Route("/text", self.text),
            Route("/bytes", self.octets),
            Route("/crash", self.crash),
        ]
        self.app = Starlette(routes=routes)

    async def echo(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        return JSONResponse({"id": "ann@example.com", "heard": self.bodies[-1], "own": TEXT})

    async def events(self, request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for piece in ("data: Write to an", "n@example.com\n", "\ndata: bye\n\n"):
                yield piece

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def text(self, request: Request) -> Response:
        return PlainTextResponse(TEXT)

    async def octets(self, request: Request) -> Response:
        return Response(TEXT.encode(), media_type="application/octet-stream")

    async def crash(self, request: Request) -> Response:
        raise RuntimeError("own")


def client(shop: Shop, guard: Guard, **options: Any) -> TestClient:
    return TestClient(GuardASGI(shop.app, guard, **options))


def test_g3_json_bodies_arrive_and_leave_masked() -> None:
    shop = Shop()
    answer = client(shop, Guard(MaskPII(names="off")), skip=["id"]).post(
        "/echo", json={"id": "ann@example.com", "note": TEXT}
    )
    assert shop.bodies == [{"id": "ann@example.com", "note": MASKED}]
    assert answer.json() == {"id": "ann@example.com", "heard": {"id": "ann@example.com", "note": MASKED}, "own": MASKED}
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_g4_texts_and_events_leave_masked_and_other_things_pass() -> None:
    asked = client(Shop(), Guard(MaskPII(names="off")))
    assert asked.get("/text").text == MASKED
    assert asked.get("/events").text == f"data: {MASKED}\n\ndata: bye\n\n"
    assert asked.get("/bytes").text == TEXT
    assert asked.get("/none").status_code == 404


def test_g1_refusals_reach_nobody(tmp_path: Path) -> None:
    shop = Shop()
    guard = Guard(AuditLog(tmp_path, durability="os"), RateLimit("1/hour", per="conversation"), MaskPII(names="off"))
    asked = client(shop, guard)
    with context(conversation="c-1"):
        assert asked.post("/echo", json=[TEXT]).status_code == 200
        answer = asked.post("/echo", json=[TEXT])
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 3000
    with context(conversation="c-2"):
        assert (
            asked.post("/echo", content=f"no json {TEXT}", headers={"content-type": "application/json"}).status_code == 400
        )
    guard.close()
    assert len(shop.bodies) == 1
    written = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert "ann@example.com" not in written
    assert [json.loads(line)["stage"] for line in written.splitlines()].count("intent") == 1


def test_g11_long_bodies_are_refused() -> None:
    shop = Shop()
    asked = client(shop, Guard(MaskPII(names="off")), most_bytes=100)
    assert asked.post("/echo", json=["x" * 200]).status_code == 413
    assert asked.post("/echo", json=["x" * 40]).status_code == 500  # its answer is longer
    assert len(shop.bodies) == 1


def test_an_application_s_own_error_is_its_own() -> None:
    with pytest.raises(RuntimeError, match="own"):
        client(Shop(), Guard(MaskPII(names="off"))).get("/crash")


def test_other_paths_and_a_guard_without_a_mask_change_nothing() -> None:
    shop = Shop()
    assert client(shop, Guard(MaskPII(names="off")), paths=["/api/"]).get("/text").text == TEXT
    assert client(shop, Guard()).get("/text").text == TEXT


def streamed(sent: list[str], kind: str | None, **options: Any) -> str:
    async def answer(request: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            for piece in sent:
                yield piece

        return StreamingResponse(body(), media_type=kind)

    app = Starlette(routes=[Route("/", answer)])
    return TestClient(GuardASGI(app, Guard(MaskPII(names="off")), **options)).get("/").text


@pytest.mark.parametrize("kind", [None, "text/plain", "text/html; charset=latin-1"])
def test_g4_chunks_of_text_are_masked_as_they_pass(kind: str | None) -> None:
    assert streamed(["Write to an", "n@exam", "ple.com"], kind) == MASKED


@pytest.mark.parametrize("form", ["data: {}\n\n", 'data: "{}"\n\n', 'data: {{"kind": "a", "delta": "{}"}}\n\n'])
def test_g4_a_text_in_pieces_is_masked_across_events(form: str) -> None:
    answer = streamed([form.format(piece) for piece in ("Write to an", "n@exam", "ple.com")], "text/event-stream")
    assert "<EMAIL_ADDRESS>" in answer
    assert "exam" not in answer


@pytest.mark.parametrize("form", ["data: {}\n\n", 'data: {{"kind": "a", "text": "{}"}}\n\n'])
@pytest.mark.parametrize(
    ("first", "second"),
    [("Write to ann@example.com", "bye"), ("code 12", "4242 4242 4242 4242 is my card"), ("a", "ann@example.com")],
)
def test_g3_events_that_stand_for_themselves_do_not_hide_each_other(form: str, first: str, second: str) -> None:
    answer = streamed([form.format(first), form.format(second)], "text/event-stream")
    assert "example.com" not in answer
    assert "4242" not in answer


def test_events_that_are_said_to_stand_for_themselves_leave_at_once() -> None:
    events = [f'data: {{"text": "{text}"}}\n\n' for text in (TEXT, "bye")]
    answer = streamed(events, "text/event-stream", pieces=())
    assert answer == f'data: {{"text":"{MASKED}"}}\n\ndata: {{"text":"bye"}}\n\n'


def test_g4_lines_of_json_end_with_their_last_line() -> None:
    lines = [
        json.dumps({"message": {"role": "assistant", "content": piece}}) + "\n" for piece in ("to ann@exam", "ple.com")
    ]
    answer = streamed([*lines, '{"done": true}\n'], "application/x-ndjson").splitlines()
    assert json.loads(answer[-1]) == {"done": True}
    assert "".join(json.loads(line)["message"]["content"] for line in answer[:-1]) == "to <EMAIL_ADDRESS>"


def test_g11_a_compressed_answer_cannot_be_read_and_is_withheld() -> None:
    async def answer(request: Request) -> Response:
        return Response(b"\x1f\x8b", media_type="text/plain", headers={"content-encoding": "gzip"})

    app = GuardASGI(Starlette(routes=[Route("/", answer)]), Guard(MaskPII(names="off")))
    assert TestClient(app).get("/").status_code == 500


def test_g3_forms_and_texts_arrive_masked_and_bodies_without_text_pass() -> None:
    async def answer(request: Request) -> Response:
        return Response(await request.body(), media_type="application/octet-stream")

    asked = TestClient(GuardASGI(Starlette(routes=[Route("/", answer, methods=["POST"])]), Guard(MaskPII(names="off"))))
    assert asked.post("/", data={"note": TEXT, "n": "1"}).text == "note=Write+to+%3CEMAIL_ADDRESS%3E&n=1"
    assert asked.post("/", content=TEXT, headers={"content-type": "text/plain"}).text == MASKED
    assert asked.post("/", json={"n": 1}).json() == {"n": 1}


class Kept:
    """An application that keeps the body it is given, and answers with it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.forms: list[Any] = []
        routes = [Route("/raw", self.raw, methods=["POST"]), Route("/form", self.form, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def raw(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        return Response(TEXT, media_type="application/xml")

    async def form(self, request: Request) -> Response:
        async with request.form() as form:
            self.forms.append(
                [
                    (name, one if isinstance(one, str) else (one.filename, await one.read()))
                    for name, one in form.multi_items()
                ]
            )
        return Response()


@pytest.mark.parametrize("kind", [None, "application/xml", "application/x-ndjson", "image/svg+xml", "text/csv"])
def test_g3_a_text_arrives_masked_whatever_it_says_that_it_is(kind: str | None) -> None:
    kept = Kept()
    headers = {} if kind is None else {"content-type": kind}
    guarded = TestClient(GuardASGI(kept.app, Guard(MaskPII(names="off"))))
    answer = guarded.post("/raw", content=f'{{"note": "{TEXT}"}}', headers=headers)
    assert kept.bodies == [f'{{"note": "{MASKED}"}}'.encode()]
    assert answer.text == MASKED


def test_bytes_that_are_no_text_and_do_not_say_what_they_are_pass() -> None:
    kept = Kept()
    TestClient(GuardASGI(kept.app, Guard(MaskPII(names="off")))).post("/raw", content=b"\xff\x00 ann@example.com")
    assert kept.bodies == [b"\xff\x00 ann@example.com"]


def test_g3_fields_of_a_form_with_files_arrive_masked_and_the_files_as_they_are() -> None:
    kept = Kept()
    guarded = TestClient(GuardASGI(kept.app, Guard(MaskPII(names="off")), skip=["id"]))
    octets = b"\r\n--\xff\x00 ann@example.com\r\n\r\n"
    guarded.post("/form", data={"note": [TEXT, "häl\r\n--lo"], "id": "ann@example.com"}, files={"up": ("a.bin", octets)})
    assert kept.forms == [[("note", MASKED), ("note", "häl\r\n--lo"), ("id", "ann@example.com"), ("up", ("a.bin", octets))]]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"hello ann@example.com"),
        ("multipart/form-data; boundary=x", b'--x\nContent-Disposition: form-data; name="a"\n\nann@example.com\n--x--'),
        ("multipart/form-data; boundary=x", b"--x\r\nann@example.com\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nYW5u\r\n--x--',
        ),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--'),
    ],
)
def test_g10_a_form_that_another_parser_could_read_otherwise_is_refused(kind: str, body: bytes) -> None:
    kept = Kept()
    guarded = TestClient(GuardASGI(kept.app, Guard(MaskPII(names="off"))))
    assert guarded.post("/raw", content=body, headers={"content-type": kind}).status_code == 400
    assert kept.bodies == []


@pytest.mark.parametrize("how", ["mounted", "served"])
@pytest.mark.parametrize("paths", [["/echo"], ["/shop/echo"], ["/shop"]])
def test_g3_a_path_is_guarded_also_in_an_application_that_is_mounted_or_served_below_a_root(
    how: str, paths: list[str]
) -> None:
    shop = Shop()
    guarded = GuardASGI(shop.app, Guard(MaskPII(names="off")), paths=paths)
    mounted = TestClient(Starlette(routes=[Mount("/shop", app=guarded)]))
    asked = mounted if how == "mounted" else TestClient(guarded, root_path="/shop")
    assert asked.post("/shop/echo", json={"note": TEXT}).status_code == 200
    assert shop.bodies == [{"note": MASKED}]


def test_a_root_that_only_begins_alike_is_no_root() -> None:
    shop = Shop()
    guarded = GuardASGI(shop.app, Guard(MaskPII(names="off")), paths=["/o"])
    assert TestClient(guarded, root_path="/ech").post("/echo", json={"note": TEXT}).json()["own"] == TEXT


async def echoes(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def test_g10_websockets_pass_and_the_log_says_so_once_or_they_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    app = Starlette(routes=[WebSocketRoute("/ws", echoes)])
    guard = Guard(MaskPII(names="off"))
    passing = TestClient(GuardASGI(app, guard))
    for _ in range(2):
        with passing.websocket_connect("/ws") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
    assert [one.message for one in caplog.records if one.name == "guardrails.asgi"] == [
        'a websocket passes unguarded; GuardASGI(websockets="refuse") closes them'
    ]
    refusing = TestClient(GuardASGI(app, guard, websockets="refuse"))
    with pytest.raises(WebSocketDisconnect) as closed, refusing.websocket_connect("/ws"):
        pass
    assert closed.value.code == 1008
    with TestClient(GuardASGI(app, guard, websockets="refuse", paths=["/api/"])).websocket_connect("/ws") as socket:
        socket.send_text("elsewhere")
    with pytest.raises(ConfigError, match="websockets"):
        GuardASGI(app, guard, websockets="close")


def served(app: Any, scope: dict[str, Any], *events: dict[str, Any]) -> list[dict[str, Any]]:
    """What a server would be given to send, when a client sends these events."""
    sent: list[dict[str, Any]] = []
    left = list(events or [{"type": "http.request"}])

    async def receive() -> dict[str, Any]:
        while not left:
            await asyncio.Event().wait()
        return left.pop(0)

    async def send(event: Any) -> None:
        sent.append(event)

    whole = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "http_version": "1.1"}
    on_asyncio(lambda: app({**whole, **scope}, receive, send))
    return sent


@pytest.mark.parametrize("wanted", ["bytes=9-18", "bytes=0-11,12-30"])
@pytest.mark.parametrize("name", ["people.txt", "people.json"])
def test_g3_ranges_of_a_text_do_not_cut_what_would_be_found(tmp_path: Path, wanted: str, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(TEXT))

    async def file(request: Request) -> Response:
        return FileResponse(tmp_path / name)

    asked = TestClient(GuardASGI(Starlette(routes=[Route("/", file)]), Guard(MaskPII(names="off"))))
    answer = asked.get("/", headers={"range": wanted})
    assert answer.status_code == 416
    assert "ann@" not in answer.text
    whole = asked.get("/")
    assert whole.json() == MASKED
    assert "accept-ranges" not in whole.headers  # so that nobody asks for them


def test_ranges_of_other_things_are_served(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(100))

    async def file(request: Request) -> Response:
        return FileResponse(tmp_path / "a.mp4")

    asked = TestClient(GuardASGI(Starlette(routes=[Route("/", file)]), Guard(MaskPII(names="off"))))
    answer = asked.get("/", headers={"range": "bytes=0-9"})
    assert (answer.status_code, len(answer.content)) == (206, 10)


def test_g3_a_server_that_sends_files_by_itself_is_not_told_to(tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text(TEXT)
    app = GuardASGI(FileResponse(tmp_path / "people.txt"), Guard(MaskPII(names="off")))
    sent = served(app, {"extensions": {"http.response.pathsend": {}, "tls": {}}})
    assert b"".join(event.get("body", b"") for event in sent) == MASKED.encode()
    assert {event["type"] for event in sent} == {"http.response.start", "http.response.body"}


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_an_answer_without_a_body_says_no_length_of_one(method: str, status: int, kind: str) -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", kind.encode()), (b"content-length", b"23"), (b"etag", b'"1"')]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body"})

    start, body = served(GuardASGI(answer, Guard(MaskPII(names="off"))), {"method": method})
    assert start["headers"] == [(b"content-type", kind.encode()), (b"etag", b'"1"')]
    assert body["body"] == b""


def test_g2_half_a_body_of_a_client_that_has_gone_reaches_nobody() -> None:
    reached: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append((await receive())["body"])

    headers = [(b"content-type", b"text/plain"), (b"content-length", b"100")]
    gone = {"type": "http.disconnect"}
    half = {"type": "http.request", "body": b"pay 100 to b", "more_body": True}
    assert served(GuardASGI(app, Guard(MaskPII(names="off"))), {"method": "POST", "headers": headers}, half, gone) == []
    assert reached == []


def test_answers_that_are_not_looked_into_pass_whatever_they_are() -> None:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip"), (b"accept-ranges", b"bytes")]
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": b"no json"})

    start, body = served(GuardASGI(answer, Guard(MaskPII(names="off")), reply="pass"), {})
    assert (len(start["headers"]), body["body"]) == (3, b"no json")


def test_a_path_is_guarded_however_many_slashes_it_begins_with() -> None:
    shop = Shop()
    asked = served(GuardASGI(shop.app, Guard(RateLimit("1/hour"), MaskPII(names="off"))), {"path": ""})
    assert asked[0]["status"] == 404
    for path in ("", "//echo", "*"):
        guarded = GuardASGI(shop.app, Guard(RateLimit("1/hour")))
        served(guarded, {"path": path})
        assert served(guarded, {"path": path})[0]["status"] == 429


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b", "text/plain"])
def test_a_body_that_cannot_be_read_is_the_client_s_mistake(kind: str) -> None:
    answer = client(Shop(), Guard(MaskPII(names="off"))).post("/echo", content=b"\xff{", headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Denied"


def test_g3_keys_that_are_no_names_of_fields_are_masked() -> None:
    shop = Shop()
    answer = client(shop, Guard(MaskPII(names="off"))).post(
        "/echo", json={"ann@example.com": {"+1 212 555 0173": 1}, "a b": 2}
    )
    assert shop.bodies == [{"<EMAIL_ADDRESS>": {"<PHONE_NUMBER>": 1}, "a b": 2}]
    assert answer.json()["heard"] == shop.bodies[0]


@pytest.mark.parametrize("kind", ["x", " ", "json", "application/x-json", "APPLICATION/JSON"])
def test_g3_a_content_type_that_says_nothing_hides_nothing(kind: str) -> None:
    shop = Shop()
    client(shop, Guard(MaskPII(names="off"))).post("/echo", content=json.dumps([TEXT]), headers={"content-type": kind})
    assert shop.bodies == [[MASKED]]


@pytest.mark.parametrize("parameter", ["filename*=utf-8''a.txt", "FileName*=a"])
def test_g10_a_field_that_some_parsers_take_for_a_file_is_refused(parameter: str) -> None:
    shop = Shop()
    form = f'--x\r\nContent-Disposition: form-data; name="a"; {parameter}\r\n\r\n{TEXT}\r\n--x--\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert client(shop, Guard(MaskPII(names="off"))).post("/echo", content=form, headers=kind).status_code == 400


def test_many_keys_of_ones_own_are_no_many_texts() -> None:
    shop = Shop()
    counts = {f"at {number}": number for number in range(5_000)}
    asked = client(shop, Guard(MaskPII(names="off")))
    assert asked.post("/echo", json={**counts, "ann@example.com": 1}).status_code == 200
    assert shop.bodies == [{**counts, "<EMAIL_ADDRESS>": 1}]
