"""The selector language, and the refusal of whatever is not in it."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard
from guardrails.core.selectors import CODECS, Decode, Every, Index, Key, Selector, parse_selector
from guardrails.errors import ConfigError
from tests.core.doubles import Look


@pytest.mark.parametrize(
    ("source", "root", "steps"),
    [
        ("body", "body", ()),
        ("_b1", "_b1", ()),
        ("vars.*", "vars", (Every(),)),
        ("parts[*].text", "parts", (Every(), Key("text"))),
        ("parts[0]", "parts", (Index(0),)),
        ("parts[12][3]", "parts", (Index(12), Index(3))),
        ('vars["a.b"]', "vars", (Key("a.b"),)),
        ('vars["a\\"b"]', "vars", (Key('a"b'),)),
        ('vars["]"]', "vars", (Key("]"),)),
        ('vars["|json"].x', "vars", (Key("|json"), Key("x"))),
        ("body|json", "body", (Decode("json"),)),
        ("body|json.items[*].text", "body", (Decode("json"), Key("items"), Every(), Key("text"))),
        ("body|json.*", "body", (Decode("json"), Every())),
        ("body|json[*]", "body", (Decode("json"), Every())),
        ("body|utf8|json.a", "body", (Decode("utf8"), Decode("json"), Key("a"))),
        ("body.data|json.a|json.b", "body", (Key("data"), Decode("json"), Key("a"), Decode("json"), Key("b"))),
        ("a.b.c.d", "a", (Key("b"), Key("c"), Key("d"))),
    ],
)
def test_what_the_grammar_says_is_what_is_read(source: Any, root: Any, steps: Any) -> None:
    assert parse_selector(source) == Selector(source, root, steps)


BAD = [
    "",
    " body",
    "body ",
    ".body",
    "[0]",
    "*",
    "0body",
    "body.",
    "body..a",
    "body[",
    "body[]",
    "body[a]",
    "body[-1]",
    "body[1:2]",
    "body['a']",
    'body["a',
    'body[""]',
    "body|",
    "body|nope",
    "body|JSON",
    "body |json",
    "body.*x",
    "body[*]x",
    "body.**",
    "body,other",
    "body[0000000001]",
    "body\n",
    "body.a-b",
]


@pytest.mark.parametrize("source", BAD)
def test_bad_grammar_is_a_config_error_that_repeats_the_selector(source: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_selector(source)
    assert repr(source) in str(caught.value)


@pytest.mark.parametrize("source", BAD)
def test_a_bad_selector_fails_at_decoration(source: Any) -> None:
    def send(body: str) -> None: ...

    with pytest.raises(ConfigError):
        Guard(Look()).wrap(send, text=source)


@pytest.mark.parametrize("source", [None, 5, b"body", ["body"], object()])
def test_a_selector_that_is_not_a_str_is_a_config_error(source: Any) -> None:
    with pytest.raises(ConfigError):
        parse_selector(source)


def test_an_unknown_codec_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_selector("body|yaml")
    assert all(codec in str(caught.value) for codec in CODECS)


@pytest.mark.parametrize("codec", ["form", "json", "utf8"])
def test_every_codec_is_read(codec: Any) -> None:
    assert parse_selector(f"body|{codec}").steps == (Decode(codec),)


@pytest.mark.parametrize("codec", ["xml", "base64"])
def test_a_codec_that_this_version_has_not_is_a_config_error(codec: Any) -> None:
    with pytest.raises(ConfigError, match="form, html, json, mime, utf8"):
        parse_selector(f"body|{codec}")


@given(st.text(alphabet=string.printable + "é\u200b\ud800", max_size=40))
def test_any_text_is_either_a_selector_or_a_config_error(source: Any) -> None:
    try:
        selector = parse_selector(source)
    except ConfigError as error:
        assert repr(source) in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert source == selector.source
        assert source.startswith(selector.root)


@given(st.text(min_size=1, max_size=50).filter(lambda key: "\n" not in key and "\r" not in key))
def test_any_key_can_be_written_in_quotes(key: Any) -> None:
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_selector(f'vars["{quoted}"]').steps == (Key(key),)
