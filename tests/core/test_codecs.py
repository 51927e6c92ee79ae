"""Text inside JSON and UTF-8: looked into, put back in the same kind of box, or denied."""

from __future__ import annotations

import email
import email.policy
import json
import re
import subprocess
import sys
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails import Guard
from guardrails.core.codecs import decode, encode
from guardrails.core.markup import blocks, with_blocks
from guardrails.errors import Denied, GuardrailsError
from tests.core.doubles import Change, Look


def echo(body: Any) -> Any:
    return body


def through(body: Any, text: str = "body|json", change: Any = str.upper) -> Any:
    return Guard(Change(change)).wrap(echo, text=text)(body)


@pytest.mark.parametrize("box", [str, str.encode, lambda text: bytearray(text.encode())])
def test_json_in_any_box_is_masked_and_comes_back_in_the_same_kind(box: Any) -> None:
    given_ = box('{"a": "x", "n": 1, "deep": [{"b": "y"}, null, true, 1.5]}')
    sent = through(given_)
    assert type(given_) is type(sent)
    assert json.loads(sent) == {"a": "X", "n": 1, "deep": [{"b": "Y"}, None, True, 1.5]}


@pytest.mark.parametrize("box", [str, str.encode, lambda text: bytearray(text.encode())])
def test_an_unchanged_document_is_the_same_object(box: Any) -> None:
    document = box('{ "a" :"X",   "n":1.0e2}')
    assert through(document) is document


def test_a_path_after_the_codec_takes_only_what_it_names() -> None:
    look = Look()
    guard = Guard(look, Change())
    sent = guard.wrap(echo, text="body|json.items[*].text")(
        '{"items": [{"text": "a", "id": "b"}, {"text": "c"}], "x": "d"}'
    )
    assert json.loads(sent) == {"items": [{"text": "A", "id": "b"}, {"text": "C"}], "x": "d"}
    assert sorted(look.last.parts.values()) == ["a", "c"]


def test_a_document_that_is_one_string() -> None:
    assert json.loads(through('"hello"')) == "HELLO"


def test_a_document_in_a_document() -> None:
    inner = json.dumps({"t": "x"})
    sent = through(json.dumps({"inner": inner, "z": "z"}), text="body|json.inner|json.t")
    assert json.loads(json.loads(sent)["inner"]) == {"t": "X"}
    assert json.loads(sent)["z"] == "z"


def test_two_selectors_into_one_document_both_come_back() -> None:
    sent = Guard(Change()).wrap(echo, text=["body|json.a", "body|json.b"])('{"a": "x", "b": "y", "c": "z"}')
    assert json.loads(sent) == {"a": "X", "b": "Y", "c": "z"}


def test_two_selectors_that_read_one_argument_in_two_ways_lose_no_change() -> None:
    # body as it stands, and body as JSON: whichever wins, no unmasked "secret" goes out.
    try:
        sent = Guard(Change(lambda t: t.replace("secret", "-"))).wrap(echo, text=["body", "body|json.a"])(
            '{"a": "secret", "b": "secret"}'
        )
    except GuardrailsError as error:
        assert error.sent is False  # noqa: PT017 - to refuse it is right as well
    else:
        assert "secret" not in sent


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "nonsense",
        "{'a': 1}",
        '{"a": 1} x',
        '{"a": "x", "a": "y"}',
        '{"d": {"a": 1, "a": 1}}',
        "NaN",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        "\ufeff{}",
        '{"a": ' * 5,
    ],
)
@pytest.mark.parametrize("box", [str, str.encode])
def test_what_is_not_json_to_every_reader_is_denied_without_repeating_it(document: Any, box: Any) -> None:
    with pytest.raises(Denied) as caught:
        through(box(document))
    assert caught.value.sent is False
    assert "json" in str(caught.value)


@pytest.mark.parametrize("value", [5, None, [], {}, 1.5, memoryview(b"{}"), object()])
def test_json_of_something_else_is_denied(value: Any) -> None:
    with pytest.raises(Denied):
        through(value)


@pytest.mark.parametrize("depth", [33, 1_000, 100_000])
def test_g11_json_nested_without_end_is_denied(depth: Any) -> None:
    with pytest.raises(Denied):
        through("[" * depth + '"x"' + "]" * depth)


def test_a_key_that_differs_only_by_its_escapes_is_twice_the_same_key() -> None:
    with pytest.raises(Denied):
        through('{"a": "x", "\\u0061": "y"}')


@pytest.mark.parametrize("number", ["1e999", "-1e999", "12345678901234567890.123456789", "1" + "0" * 40, "-0.0", "1.0"])
def test_numbers_beside_a_changed_text_keep_their_value(number: Any) -> None:
    sent = through('{"t": "x", "n": %s}' % number)  # noqa: UP031 - braces
    assert '"X"' in sent
    assert number in sent, sent


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=5), below, max_size=4),
        max_leaves=12,
    )
)
def test_any_document_with_changed_texts_is_the_document_with_changed_texts(document: Any) -> None:
    def marked(value: Any) -> Any:
        match value:
            case str():
                return f"<{value}>"
            case list():
                return [marked(one) for one in value]
            case dict():
                return {key: marked(one) for key, one in value.items()}
            case _:
                return value

    sent = json.loads(through(json.dumps(document), change=lambda text: f"<{text}>"))
    assert marked(document) == sent
    assert repr(marked(document)) == repr(sent)


def test_utf8_bytes_are_text_under_the_codec() -> None:
    assert through("grüße".encode(), "body|utf8") == "GRÜSSE".encode()
    assert through(bytearray(b"x"), "body|utf8") == bytearray(b"X")


@pytest.mark.parametrize("value", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", "text", 5, None])
def test_what_is_not_utf8_is_denied(value: Any) -> None:
    with pytest.raises(Denied) as caught:
        through(value, "body|utf8")
    assert "utf8" in str(caught.value)


def test_bytes_without_a_codec_are_counted_and_left_alone() -> None:
    look = Look()
    value = b"\xff\x00"
    assert Guard(look)(text="body")(echo)(value) is value
    assert dict(look.last.parts) == {}


def test_a_lone_surrogate_is_refused_or_goes_out_as_it_came() -> None:
    document = '{"a": "\\ud800", "t": "x"}'
    try:
        sent = through(document.encode())
    except GuardrailsError as error:
        assert error.sent is False  # noqa: PT017 - to refuse it is right as well
    else:
        assert json.loads(sent) == {"a": "\ud800", "t": "X"}


def test_the_functions_themselves() -> None:
    assert decode(b"[1]", "json") == [1]
    assert encode(["a"], "json", like=b'["x"]') == b'["a"]'
    assert encode("a", "utf8", like=b"") == b"a"
    with pytest.raises(Denied):
        decode("a", "rot13")


FORMS = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=8)), max_size=6)


@given(pairs=FORMS)
def test_a_form_reads_as_the_standard_library_reads_it_and_unchanged_comes_back_as_written(
    pairs: list[tuple[str, str]],
) -> None:
    written = urlencode(pairs)
    fields: Any = decode(written, "form")
    read = [(k, v) for k, vs in fields.items() for v in (vs if isinstance(vs, list) else [vs])]
    assert sorted(parse_qsl(written, keep_blank_values=True)) == sorted(read)
    assert encode(fields, "form", like=written) == written


@given(pairs=FORMS)
def test_every_value_of_a_form_can_be_replaced_and_no_name_is(pairs: list[tuple[str, str]]) -> None:
    written = urlencode(pairs)
    fields: Any = decode(written, "form")
    news = {k: [f"<&=%{v}" for v in vs] if isinstance(vs, list) else f"<&=%{vs}" for k, vs in fields.items()}
    sent = encode(news, "form", like=written.encode())
    assert isinstance(sent, bytes)
    assert parse_qsl(sent.decode(), keep_blank_values=True) == [(k, f"<&=%{v}") for k, v in pairs]


def test_only_the_changed_values_of_a_form_are_written_anew() -> None:
    body = "To=%2B12125550173&Body=write+to+ann%40example.com&&Url=https://example.com&Tag=b%2Bb&Tag=x%20x"
    assert through(body, text="body|form.Body") == (
        "To=%2B12125550173&Body=WRITE+TO+ANN%40EXAMPLE.COM&&Url=https://example.com&Tag=b%2Bb&Tag=x%20x"
    )
    assert through(body, text="body|form.Tag[1]").endswith("&Tag=b%2Bb&Tag=X+X")


@pytest.mark.parametrize("body", ["call ann@example.com", "a=%ff", b"a=\xff", 5, "Body=x&ann@example.com"])
def test_what_is_no_form_is_denied_without_repeating_it(body: Any) -> None:
    with pytest.raises(Denied) as raised:
        through(body, text="body|form")
    assert "|form" in str(raised.value)
    assert "ann" not in str(raised.value)


# -- HTML ---------------------------------------------------------------------------------------------------------------------

PAGE = (
    "<!DOCTYPE html><p CLASS=x title=\"a &amp; b\">one &lt; <b>two</b> three</p>\n<img alt='pic' src=y.png><br/>"
    "<script>var s = 'four';</script><!-- five --> &nbsp; <td>six<td>seven"
)


def test_html_is_looked_at_text_by_text_and_keeps_its_markup() -> None:
    look = Look()
    sent = Guard(look, Change()).wrap(echo, text="body|html")(PAGE)
    texts = [text.translate(dict.fromkeys([0x2061, 0x2062, 0x2063])) for text in look.last.parts.values()]
    assert texts == ["a & b", "one < two three", "pic", "y.png", "var s = 'four';", " five ", " \xa0 ", "six", "seven"]
    assert sent.startswith("<!DOCTYPE html><p CLASS=x title=\"A &amp; B\">ONE &lt; <b>TWO</b> THREE</p>\n<img alt='PIC'")
    assert sent.endswith("<td>SIX<td>SEVEN")


@pytest.mark.parametrize("box", [str, str.encode])
def test_unchanged_html_is_the_same_object(box: Any) -> None:
    page = box(PAGE)
    assert Guard(Look()).wrap(echo, text="body|html")(page) is page


def test_what_is_written_into_html_is_escaped() -> None:
    assert through("<p title='x'>x</p>", "body|html", lambda _: "<b>'\"&") == (
        "<p title='&lt;b&gt;&#x27;&quot;&amp;'>&lt;b&gt;&#x27;&quot;&amp;</p>"
    )


@given(
    words=st.lists(
        st.sampled_from(["ann@", "example.com", "<b>", "</b>", "<p>", "<i class=x>", " ", "&amp;", "x"]), max_size=12
    )
)
def test_whatever_is_done_to_the_text_the_tags_stay(words: list[str]) -> None:
    page = "".join(words)
    tags = [word for word in words if word.startswith("<")]
    for change in (str.upper, lambda text: text.replace("ann@", ""), lambda _: "gone", lambda text: text + "!"):
        sent = through(page, "body|html", change)
        assert re.findall(r"<[^>]*>", sent) == tags


def test_an_address_that_an_inline_tag_divides_is_one_text() -> None:
    def hide(text: str) -> str:
        return re.sub(r"ann@\u2063[\u2061\u2062]+\u2063example\.com", "GONE", text)

    page = "<p>to <b>ann@<i>example.com</i></b> now</p><p>ann@</p><p>example.com</p>"
    assert through(page, "body|html", hide) == "<p>to <b>GONE<i></i></b> now</p><p>ann@</p><p>example.com</p>"


# -- e-mail -------------------------------------------------------------------------------------------------------------------


def mail() -> EmailMessage:
    one = EmailMessage()
    one["To"], one["From"], one["Subject"] = "Bob <bob@example.com>", "desk@example.com", "a subject"
    one.set_content("plain text\n")
    one.add_alternative('<p title="a title">some <b>text</b></p>', subtype="html")
    one.add_attachment(b"123", maintype="application", subtype="pdf", filename="a name.pdf")
    return one


@pytest.mark.parametrize("box", [lambda one: one, bytes, lambda one: bytearray(bytes(one)), EmailMessage.as_string])
def test_an_e_mail_is_masked_in_subject_texts_and_names_and_comes_back_as_it_was(box: Any) -> None:
    given_ = box(mail())
    before = bytes(given_) if isinstance(given_, EmailMessage) else bytes(given_) if not isinstance(given_, str) else given_
    look = Look()
    wrap = Guard(look, Change()).wrap(echo, text="body|mime", recipient="body|mime.to", sender="body|mime.sender")
    sent = wrap(given_)
    assert (look.last.recipients, look.last.sender) == (("bob@example.com",), "desk@example.com")
    assert next(iter(look.last.parts)) == "body|mime.subject"
    assert type(sent) is type(given_)
    assert (bytes(given_) if isinstance(given_, EmailMessage) else given_) == before
    match sent:
        case EmailMessage():
            read = sent
        case str():
            read = email.message_from_string(sent, policy=email.policy.default)
        case _:
            read = email.message_from_bytes(bytes(sent), policy=email.policy.default)
    assert (read["To"], read["From"], read["Subject"]) == ("Bob <bob@example.com>", "desk@example.com", "A SUBJECT")
    body, page = read.get_body(("plain",)), read.get_body(("html",))
    assert body is not None
    assert page is not None
    assert body.get_content() == "PLAIN TEXT\n"
    assert page.get_content().strip() == '<p title="A TITLE">SOME <b>TEXT</b></p>'
    (attached,) = read.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("A NAME.PDF", b"123")


def test_an_unchanged_e_mail_is_the_same_object() -> None:
    for one in (mail(), bytes(mail())):
        assert Guard(Look()).wrap(echo, text="body|mime")(one) is one


@pytest.mark.parametrize(
    "wrong",
    [5, b"Content-Type: multipart/signed; boundary=x\n\n--x--", b"Content-Type: text/plain; charset=none\n\nx", ["x"]],
)
def test_g2_an_e_mail_that_cannot_be_read_is_denied(wrong: Any) -> None:
    with pytest.raises(Denied):
        Guard(Look()).wrap(echo, text="body|mime")(wrong)


def test_g2_html_that_is_no_text_is_denied() -> None:
    for wrong in (5, b"\xff", ["x"]):
        with pytest.raises(Denied, match="html"):
            Guard(Look()).wrap(echo, text="body|html")(wrong)


def test_a_guard_that_sends_neither_pays_for_no_parser_of_html_or_e_mail() -> None:
    program = "import sys; from guardrails import Guard; Guard; print({'html.parser', 'email.message'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("<b>4242</b> <i>4242</i>", "4242 4242"),
        ("<p>4242<br>4242<br/>\n4242</p>", "4242\n4242\n4242"),
        ("<b>ann@</b><i>example.com</i>", "ann@example.com"),
    ],
)
def test_texts_of_one_line_are_one_with_what_a_reader_sees_between_them(source: str, seen: str) -> None:
    (text,) = blocks(source)
    assert re.sub("[\u2061-\u2064]", "", text) == seen
    assert with_blocks(source, [text]) == source
    assert with_blocks(source, [text.replace("4242", "0", 1)]) == source.replace("4242", "0", 1)


def test_blanks_between_tags_take_no_time() -> None:
    source = "<b>a</b>" + " " * 50_000 + "<div>b</div>"
    assert blocks(source) == ["a", "b"]
