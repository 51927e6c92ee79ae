"""A policy file is read strictly: it means what it looks like, or every problem has its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guardrails.policy import document
from guardrails.policy.document import MOST_BYTES, MOST_DEPTH, parsed, read_document
from guardrails.policy.problems import Place, PolicyError


def said(raw: bytes) -> str:
    with pytest.raises(PolicyError) as caught:
        parsed(raw, "p.yaml")
    return str(caught.value)


def test_plain_words_are_what_yaml_1_2_says() -> None:
    read = parsed(b"[1, -2, 1.5, 1e3, true, no, on, 22:00, 0x10, '1', \"true\", ~, null, 1_000, 010]")
    assert read.data == [1, -2, 1.5, 1000.0, True, "no", "on", "22:00", "0x10", "1", "true", None, None, "1_000", 10]


def test_every_value_and_every_key_has_its_place() -> None:
    read = parsed(b"a:\n  - b: 1\n    c: [x, y]\n", "p.yaml")
    assert read.places["a", 0, "c", 1] == Place("p.yaml", 3, 12)
    assert read.keys["a", 0, "c"] == Place("p.yaml", 3, 5)
    assert read.place(("a", 0, "missing", "deeper")) == Place("p.yaml", 2, 5)


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"a: &x 1", "p.yaml:1:4: an anchor"),
        (b"a: 1\nb: *x", "p.yaml:2:4: an alias"),
        (b"a: !!python/object:os.system x", "p.yaml:1:4: a tag"),
        (b"a: !secret x", "a tag"),
        (b"a: 1\nb: 2\na: 3", "p.yaml:3:1: 'a' stands here a second time; the first is in line 1"),
        (b"<<: {a: 1}", "a merge key"),
        (b"a: 1\n---\nb: 1", "a second document"),
        (b"? {a: 1}\n: 2", "a key that is not a word"),
        (b"? [a]\n: 2", "a key that is not a word"),
        (b"'': 1", "1 to 256 characters"),
        (b"a: " + b"9" * 16, "so many digits"),
        (b"a: 1\n\tb: 2", "a tab: indent with blanks"),
        (b"a: \xff\xfe", "p.yaml:1:4: these bytes are not UTF-8"),
        (b"ok: 1\na: \x00", "p.yaml:2:1: a character that may not stand in YAML"),
        (b"a: 'open", "this is not YAML"),
        (b"a: b: c", "this is not YAML"),
        (b"%YAML 9.9\n---\na: 1", "this is not YAML"),
        (b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "levels"),
        (b"[" * 100_000, "this is not YAML"),
        (b"#" * (MOST_BYTES + 1), "bytes"),
    ],
)
def test_what_could_be_misread_is_refused_with_its_place(raw: bytes, where: str) -> None:
    assert where in said(raw)


def test_all_problems_are_named_at_once_but_not_thousands() -> None:
    text = said(b"a: &x 1\na: *x\nb: !t 1\nb: 1")
    assert [line for line in ("1:4", "2:1", "2:4", "3:4", "4:1") if f"p.yaml:{line}" not in text] == []
    assert said(b"- *x\n" * 3_000).count("\n") < 60


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_VALUES", 100)
    assert "more than 100 values" in said(b"- 1\n" * 200)


def test_a_value_is_never_quoted_because_it_may_be_a_secret() -> None:
    secret = "hunter2-hunter2"
    for raw in (f"a: &{secret} 1", f"a: !{secret} 1", f"a: '{secret}", f"a: {secret}: b", f"a: [{secret}"):
        assert secret not in said(raw.encode())


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(PolicyError, match="cannot be read"):
            read_document(path)


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert parsed(b"\xef\xbb\xbfa: 1").data == {"a": 1}


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_both_parsers_of_pyyaml_read_the_same(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LOADER", loader)
    assert parsed(b"a: [1, yes, 'no', ~]\nb: {c: \"x\"}\n").data == {"a": [1, "yes", "no", None], "b": {"c": "x"}}


SYNTAX = b"a: |- |  |{|}|[|]|&x |*x|!t |'|\"|>|? |: |platform:|#|%|1|~|<<: |,".split(b"|")
PIECES = st.sampled_from([*SYNTAX, b"|", b"\n", b"\t", b"---\n", b"...\n", b"\xff", b"\x00", b"\xe2\x80\xa8"])


@settings(max_examples=300, deadline=None)
@example(b"{*x")  # an alias where a key should be, twice
@given(st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=60))
def test_no_bytes_give_a_traceback(raw: bytes) -> None:
    problems: object = "none"
    try:
        parsed(raw)
    except PolicyError as error:
        problems = error.problems
    assert problems
