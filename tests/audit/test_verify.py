"""The verifier: every change is found, nothing in a file makes it stumble, and its exit codes mean what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrails.audit import AuditLog, intents, read_records, verify_directory
from guardrails.core.guard import Guard
from guardrails.errors import Denied
from tests.audit.sinks import KEYS, PHONE

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of six sends and a refusal."""
    folder = tmp_path_factory.mktemp("honest") / "log"
    log = AuditLog(folder, keys=KEYS)

    class NoSixth:
        async def guard(self, call: Any, forward: Any, _io: Any, /) -> Any:
            if call.message.text == "6":
                raise Denied("no sixth")
            return await forward(call)

    send = Guard(log, NoSixth(), channel="sms")(lambda to, body: (to, body))
    for number in range(6):
        send(PHONE, str(number))
    with pytest.raises(Denied):
        send(PHONE, "6")
    log.close()
    return folder


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def changed(honest: Path, folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """A copy of the honest log with other lines."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source = only_file(honest)
    (folder / source.name).write_bytes(b"".join(change(source.read_bytes().splitlines(keepends=True))))
    return folder


def relinked(lines: list[bytes]) -> list[bytes]:
    """A forgery that knows how chains are made."""
    prev, out = "0" * 64, []
    for seq, line in enumerate(lines):
        record = {**json.loads(line), "prev": prev, "seq": seq}
        if record["stage"] == "close":
            record["records"] = seq + 1
        canonical = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        prev = sha256(canonical).hexdigest()
        out.append(canonical + b"\n")
    return out


def test_an_honest_log_holds_and_says_that_it_is_unanchored(honest: Path) -> None:
    report = verify_directory(honest)

    assert report.exit_code == 0
    assert (report.intents, dict(report.outcomes), report.decisions, report.unknown_outcomes) == (6, {"sent": 6}, 1, 0)
    assert any("unanchored" in line for line in report.lines())
    assert report.lines()[-1] == "all verdicts hold"


def test_prev_is_the_sha256_of_the_line_before_without_its_newline(honest: Path) -> None:
    lines = only_file(honest).read_bytes().splitlines()

    assert json.loads(lines[0])["prev"] == "0" * 64
    assert [json.loads(line)["prev"] for line in lines[1:]] == [sha256(line).hexdigest() for line in lines[:-1]]


def test_lines_are_canonical_json(honest: Path) -> None:
    for line in only_file(honest).read_bytes().splitlines():
        assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() == line


@SLOW
@given(data=st.data())
def test_one_changed_byte_is_found_wherever_it_is(honest: Path, tmp_path: Path, data: st.DataObject) -> None:
    source = only_file(honest)
    content = bytearray(source.read_bytes())
    protected = len(content) - len(content.splitlines(keepends=True)[-1])
    at = data.draw(st.integers(0, protected - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    folder = tmp_path / "log"
    folder.mkdir(exist_ok=True)
    (folder / source.name).write_bytes(content)

    assert verify_directory(folder).exit_code == 1


@SLOW
@given(data=st.data())
def test_a_removed_doubled_or_moved_line_is_found(honest: Path, tmp_path: Path, data: st.DataObject) -> None:
    count = len(only_file(honest).read_bytes().splitlines())
    at = data.draw(st.integers(0, count - 2))
    other = data.draw(st.integers(0, count - 1).filter(lambda number: number != at))
    how = data.draw(st.sampled_from(["remove", "double", "swap"]))

    def change(lines: list[bytes]) -> list[bytes]:
        if how == "remove":
            del lines[at]
        elif how == "double":
            lines.insert(other, lines[at])
        else:
            lines[at], lines[other] = lines[other], lines[at]
        return lines

    assert verify_directory(changed(honest, tmp_path / "log", change)).exit_code == 1


@SLOW
@given(keep=st.integers(0, 10_000))
def test_a_log_that_was_cut_short_is_never_called_whole(honest: Path, tmp_path: Path, keep: int) -> None:
    content = only_file(honest).read_bytes()
    folder = tmp_path / "log"
    folder.mkdir(exist_ok=True)
    kept = keep % len(content)
    (folder / only_file(honest).name).write_bytes(content[:kept])

    report = verify_directory(folder)
    assert report.exit_code == 3
    assert report.streams[0].state in {"empty", "torn", "unclosed"}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("without an intent", lambda lines: [line for line in lines if b'"stage":"intent"' not in line]),
        ("a second intent", lambda lines: [*lines[:2], *lines[1:]]),
        ("a second outcome", lambda lines: [*lines[:-1], lines[2], lines[-1]]),
        ("outcome before its intent", lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
    ],
)
def test_records_that_contradict_each_other_are_found_in_a_perfect_chain(
    honest: Path, tmp_path: Path, what: str, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    report = verify_directory(changed(honest, tmp_path / "log", lambda lines: relinked(change(lines))))

    assert report.integrity == ()
    assert any(what in finding for finding in report.semantics)
    assert report.exit_code == 1


def test_intents_without_outcome_are_counted_and_no_error(honest: Path, tmp_path: Path) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        return relinked([line for line in lines if b'"stage":"outcome"' not in line])

    report = verify_directory(changed(honest, tmp_path / "log", change))
    assert (report.unknown_outcomes, report.exit_code) == (6, 0)
    assert any("6 intents without an outcome" in line for line in report.lines())


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("after the close record", lambda lines: [*lines, lines[-1]]),
        ("after the close record", lambda lines: [*lines, b"torn"]),
        ("not in canonical form", lambda lines: [lines[0].replace(b":", b": ", 1), *lines[1:]]),
        ("not in canonical form", lambda lines: [lines[0].replace(b"{", b'{"a":1,"a":1,', 1), *lines[1:]]),
        ("not JSON", lambda lines: [lines[0], b"[" * 5000 + b"\n", *lines[1:]]),
        ("not JSON", lambda lines: [lines[0], b'{"a":1.5}\n', *lines[1:]]),
        ("not JSON", lambda lines: [lines[0], b'{"a":NaN}\n', *lines[1:]]),
        ("not JSON", lambda lines: [lines[0], b'{"a":' + b"9" * 5000 + b"}\n", *lines[1:]]),
        ("not a JSON object", lambda lines: [lines[0], b"[]\n", *lines[1:]]),
        ("not UTF-8", lambda lines: [lines[0], b"{\xff}\n", *lines[1:]]),
        ("longer than any record", lambda lines: [lines[0], b"x" * 3_000_000 + b"\n", *lines[1:]]),
        ("longer than any record", lambda lines: [*lines[:-1], b"x" * 3_000_000]),
        ("genesis", lambda lines: relinked(lines[1:])),
        ("second genesis", lambda lines: relinked([lines[0], lines[0], *lines[1:]])),
        ("counts other records", lambda lines: [*lines[:-1], lines[-1].replace(b'"records":', b'"records":9')]),
        (
            "unknown schema_version",
            lambda lines: [line.replace(b'"schema_version":1', b'"schema_version":2') for line in lines],
        ),
        ("unknown stage", lambda lines: relinked([line.replace(b'"intent"', b'"indent"') for line in lines])),
        (
            "result has another form",
            lambda lines: relinked([line.replace(b'"result":"sent"', b'"result":"fine"') for line in lines]),
        ),
        ("another form", lambda lines: relinked([line.replace(b'"send_id":"', b'"send_id":"x') for line in lines])),
        ("another form", lambda lines: relinked([line.replace(b'"event_id":"', b'"event_id":"x') for line in lines])),
        (
            "another stream",
            lambda lines: relinked(
                [*lines[:3], re.sub(rb'"stream":"\w{32}', b'"stream":"' + b"0" * 32, lines[3]), *lines[4:]]
            ),
        ),
    ],
)
def test_what_is_wrong_is_named(
    honest: Path, tmp_path: Path, what: str, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    report = verify_directory(changed(honest, tmp_path / "log", change))

    assert any(what in finding for finding in report.integrity), report.lines()
    assert report.exit_code == 1


def test_a_copied_or_renamed_stream_is_found(honest: Path, tmp_path: Path) -> None:
    source = only_file(honest)
    folder = tmp_path / "log"
    folder.mkdir()
    shutil.copy(source, folder / source.name)
    shutil.copy(source, folder / f"2-{source.name}")
    report = verify_directory(folder)
    assert any("another file holds this stream" in finding for finding in report.integrity)

    (folder / source.name).unlink()
    (folder / f"2-{source.name}").rename(folder / "other.jsonl")
    assert any("not named after its stream" in finding for finding in verify_directory(folder).integrity)


def test_a_stream_that_another_one_names_is_missed(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS)
    for _ in range(2):
        log.open()
        log.close()
    min((tmp_path / "log").iterdir()).unlink()

    report = verify_directory(tmp_path / "log")
    assert report.exit_code == 1
    assert "is named by" in report.completeness[0]


def test_a_running_log_is_intact_but_open(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log", keys=KEYS)
    log.open()

    assert verify_directory(tmp_path / "log").exit_code == 3
    log.close()
    assert verify_directory(tmp_path / "log").exit_code == 0


def test_no_stream_no_directory_and_no_sense_are_exit_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "folder.jsonl").mkdir()
    for name in ("empty", "file", "missing", "odd", "nu\0l"):
        report = verify_directory(tmp_path / name)
        assert report.exit_code == 2, name
        assert report.lines()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links in a folder")
def test_a_pipe_or_a_link_does_not_hold_the_verifier_up(honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "log")
    os.mkfifo(tmp_path / "log" / "pipe.jsonl")
    (tmp_path / "log" / "link.jsonl").symlink_to(only_file(honest))

    report = verify_directory(tmp_path / "log")
    assert [one.state for one in report.streams] == ["closed", "unreadable", "unreadable"]
    assert report.exit_code == 2


@SLOW
@given(
    content=st.binary(max_size=2_000)
    | st.lists(st.text(max_size=40), max_size=9).map(lambda many: json.dumps(many).encode())
)
def test_no_bytes_make_it_stumble(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "log"
    folder.mkdir(exist_ok=True)
    (folder / "x-1.jsonl").write_bytes(content)

    report = verify_directory(folder)
    assert report.exit_code in {1, 3}
    assert all(line.isascii() and line.isprintable() for line in report.lines())
    list(read_records(folder))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@SLOW
@given(data=st.data())
def test_no_values_make_it_stumble(honest: Path, tmp_path: Path, data: st.DataObject) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        records = [json.loads(line) for line in lines]
        for _ in range(data.draw(st.integers(1, 5))):
            record = data.draw(st.sampled_from(records))
            record[data.draw(st.sampled_from(sorted(record)))] = data.draw(JSON)
        return [json.dumps(one, sort_keys=True, separators=(",", ":")).encode() + b"\n" for one in records]

    report = verify_directory(changed(honest, tmp_path / "log", change))
    assert report.exit_code in {0, 1, 3}
    assert all(line.isascii() and line.isprintable() for line in report.lines())


def test_nothing_from_a_file_reaches_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "\x1b[31mred\u202e-1.jsonl").write_bytes(b'{"stage":"\x1b]0;title\x07"}\n')

    said = "\n".join(verify_directory(folder).lines())
    assert "\x1b" not in said
    assert "\\x1b[31mred\\u202e" in said


def test_records_are_read_back(honest: Path) -> None:
    assert [one["stage"] for one in read_records(honest)][:3] == ["genesis", "intent", "outcome"]
    assert len(intents(honest)) == 6
