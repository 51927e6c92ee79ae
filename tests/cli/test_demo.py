"""The main job, as a user runs it: a real command, a real gateway in another process, a real log."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from guardrails.audit import read_records
from guardrails.cli.conversation import PLANTED, sample
from guardrails.cli.gateway import ANSWER_PERSONAL
from tests.cli.conftest import Run


@pytest.fixture
def foreign_gateway() -> Any:
    """Somebody else's gateway: it accepts JSON, and tells nobody what it got."""
    got: list[dict[str, str]] = []

    class Accepting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()
            self.wfile.write(b'{"queued": true}')

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    class Refusing(Accepting):
        def do_POST(self) -> None:
            self.send_error(503)

    servers = {"accepting": ThreadingHTTPServer(("127.0.0.1", 0), Accepting)}
    servers["refusing"] = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    for server in servers.values():
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    urls = {name: f"http://127.0.0.1:{server.server_address[1]}/inbox" for name, server in servers.items()}
    yield urls, got
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_the_sample_conversation_is_masked_limited_denied_and_on_record(run: Run, tmp_path: Path) -> None:
    done = run("demo", "--audit", "log")

    assert (done.returncode, done.stderr) == (0, done.stderr), done.stdout
    assert "ok      every message that the gateway received has an intent record" in done.stdout
    assert "ok      none of the" in done.stdout
    assert "BROKEN" not in done.stdout
    for word in ("sent", "limited", "denied", "EMAIL_ADDRESS", "CREDIT_CARD", "no_promises", "recipient/minute"):
        assert word in done.stdout
    records = list(read_records(tmp_path / "log"))
    stages = [record["stage"] for record in records]
    assert stages.count("intent") == stages.count("outcome")
    assert stages.count("intent") + stages.count("decision") == len(sample(None))
    assert run("audit", "verify", "log").returncode == 0


def test_nothing_planted_is_in_the_log_or_in_anything_but_the_shown_befores(run: Run, tmp_path: Path) -> None:
    run("demo", "--audit", "log")

    written = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
    planted = {value for line in sample(None) for value in line.planted} | set(ANSWER_PERSONAL)
    assert [value for value in planted if value.encode() in written] == []
    recipients = {line.to for line in sample(None) if line.to.startswith("+") or "@" in line.to}
    assert [to for to in recipients if to.encode() in written or to.replace(" ", "").encode() in written] == []


@pytest.mark.parametrize("name", ["mine.txt", "mine.csv", "mine.jsonl"])
def test_a_file_of_ones_own_is_sent_and_its_findings_are_covered_on_the_terminal(
    run: Run, tmp_path: Path, name: str
) -> None:
    texts = [f"Message {number} for you" for number in range(30)]
    texts[3] = "Ask zoe.private@example.com, she knows"
    content = {
        "mine.txt": "\n".join(texts),
        "mine.csv": "id,text\r\n" + "".join(f'{number},"{text}"\r\n' for number, text in enumerate(texts)),
        "mine.jsonl": "\n".join(json.dumps({"text": text, "label": "ham"}) for text in texts),
    }
    (tmp_path / name).write_text(content[name], encoding="utf-8")

    done = run("demo", "--messages", name, "--audit", "log")

    assert done.returncode == 0, done.stderr
    assert "Sending 30 messages" in done.stdout
    shown = done.stdout + done.stderr
    assert [value for value in (*PLANTED, "zoe.private@example.com") if value in shown] == []
    assert "[EMAIL_ADDRESS, 24 characters]" in shown
    assert "<EMAIL_ADDRESS>" in shown


def test_count_sends_so_many_and_the_sample_starts_again(run: Run) -> None:
    assert "Sending 50 messages" in run("demo", "--count", "50").stdout


def test_a_gateway_of_ones_own_receives_masked_messages(run: Run, foreign_gateway: Any) -> None:
    urls, got = foreign_gateway

    done = run("demo", "--gateway", urls["accepting"], "--count", "12")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"({len(got)} of {len(got)})" in done.stdout
    assert {"channel", "to", "body"} <= set(got[0])
    bodies = " ".join(message["body"] for message in got)
    assert "<EMAIL_ADDRESS>" in bodies
    assert [value for line in sample(12) for value in line.planted if value in bodies] == []


def test_a_gateway_that_takes_nothing_is_an_error(run: Run, foreign_gateway: Any) -> None:
    urls, _ = foreign_gateway

    done = run("demo", "--gateway", urls["refusing"], "--count", "5")

    assert done.returncode == 2
    assert "no message went out (the gateway answered 503)" in done.stderr


def test_messages_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(
        "\x1b]0;gotcha\x07\x1b[2J write to a.b@example.com [red]now[/red]\n", encoding="utf-8"
    )

    done = run("demo", "--messages", "mine.txt")

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "[red]now[/red]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--messages", "missing.txt"], "cannot read missing.txt: No such file or directory"),
        (["--messages", "."], "is a folder; give a file"),
        (["--messages", "latin.txt"], "latin.txt is not UTF-8 (byte 3); convert it first"),
        (["--messages", "columns.csv"], "columns.csv has no column 'text'"),
        (["--messages", "broken.jsonl"], "broken.jsonl, line 2: not JSON"),
        (["--messages", "other.jsonl"], "other.jsonl, line 1: needs an object with a string field 'text'"),
        (["--messages", "surrogate.jsonl"], "surrogate.jsonl, line 1: 'text' holds half a character"),
        (["--messages", "empty.txt"], "empty.txt holds no messages"),
        (["--count", "0"], "--count must be between 1 and"),
        (["--gateway", "http://127.0.0.1:1/"], "no gateway at 127.0.0.1:1"),
        (["--gateway", "ftp://127.0.0.1/"], "--gateway must be a URL"),
        (["--gateway", "http://[::1"], "--gateway is not a URL"),
        (["--audit", "empty.txt"], "cannot make the audit folder empty.txt"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_to_change(
    run: Run, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "columns.csv").write_text("id,body\n1,hello\n")
    (tmp_path / "broken.jsonl").write_text('{"text": "hello"}\n{"text": secret-value}\n')
    (tmp_path / "other.jsonl").write_text('{"body": "hello"}\n')
    (tmp_path / "surrogate.jsonl").write_text('{"text": "\\ud800"}\n')
    (tmp_path / "empty.txt").write_text("\n  \n")

    done = run("demo", *arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("guardrails: ")
    assert len(done.stderr.splitlines()) == 1
    assert "secret-value" not in done.stderr
