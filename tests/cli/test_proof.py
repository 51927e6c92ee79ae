"""The demo's proof fails when it should."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guardrails.cli.client import Client
from guardrails.cli.conversation import Line
from guardrails.cli.gateway import ANSWER_PERSONAL, separate_process
from guardrails.cli.proof import Proof, prove
from guardrails.cli.senders import Attempt, Senders

LINES = [
    Line("sms", "+1 212 555 0101", "Ask jamie.fields@example.org", ("jamie.fields@example.org",)),
    Line("llm", "assistant", "Hello", ()),
    Line("chat", "user-1", "We guarantee it", ()),
]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Attempt], list[dict[str, str]], Path]]:
    """A run in which everything holds: attempts, what was received, and the log."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch, separate_process() as url:
        patch.setenv("GUARDRAILS_HOME", str(folder / "home"))
        client = Client(url)
        with Senders(client, folder / "log", run="demo-bcdf") as senders:
            attempts = senders.send_all(LINES, lambda _shape: None)
        yield attempts, client.received() or [], folder / "log"


Honest = tuple[list[Attempt], list[dict[str, str]], Path]


def test_an_honest_run_holds(honest: Honest) -> None:
    proof = prove(*honest)

    assert proof == Proof(
        received=2,
        without_intent=[],
        refused=1,
        refused_received=[],
        planted=1 + len(ANSWER_PERSONAL),
        leaks={},
        masked=proof.masked,
    )
    assert proof.holds
    assert proof.masked["EMAIL_ADDRESS"] >= 1


def test_a_message_without_an_intent_is_found(honest: Honest, tmp_path: Path) -> None:
    attempts, received, log = honest
    shutil.copytree(log, tmp_path / "log")
    (written,) = (tmp_path / "log").glob("*.jsonl")
    written.write_bytes(
        b"".join(line for line in written.read_bytes().splitlines(keepends=True) if b"demo-bcdf-n0" not in line)
    )

    proof = prove(attempts, received, tmp_path / "log")

    assert (proof.without_intent, proof.holds) == (["demo-bcdf-n0"], False)


def test_a_refused_message_that_arrived_is_found(honest: Honest) -> None:
    attempts, received, log = honest

    proof = prove(attempts, [*received, {"id": "demo-bcdf-n2", "body": "We guarantee it"}], log)

    assert (proof.refused_received, proof.holds) == (["demo-bcdf-n2"], False)


def _in_the_gateway(attempts: list[Attempt], received: list[dict[str, str]], _log: Path) -> Honest:
    return attempts, [{**received[0], "body": "Ask jamie.fields@example.org"}], _log


def _in_a_reply(attempts: list[Attempt], received: list[dict[str, str]], log: Path) -> Honest:
    leaking = Attempt(attempts[1].line, attempts[1].key, "sent", reply=f"write to {ANSWER_PERSONAL[0]}")
    return [attempts[0], leaking, attempts[2]], received, log


def _in_the_log(attempts: list[Attempt], received: list[dict[str, str]], log: Path) -> Honest:
    (log / "notes.txt").write_text("12125550101")
    return attempts, received, log


@pytest.mark.parametrize(
    ("leak", "place"), [(_in_the_gateway, "the gateway"), (_in_a_reply, "a reply"), (_in_the_log, "the audit log")]
)
def test_planted_data_that_got_through_is_found(
    honest: Honest, tmp_path: Path, leak: Callable[..., Honest], place: str
) -> None:
    attempts, received, log = honest
    shutil.copytree(log, tmp_path / "log")

    proof = prove(*leak(attempts, received, tmp_path / "log"))

    assert (dict(proof.leaks), proof.holds) == ({place: 1}, False)
