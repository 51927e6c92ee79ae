"""
Recipient normalisation: every spelling of one address gives one value.

Limits count per recipient and records join by recipient, so `+1 (212) 555-0173`, `whatsapp:+12125550173` and the same
digits in another script must be one person. What cannot be parsed is used as given, with `parsed=False`.

Rules of this file: no network, no exception on any `str`, and normalising twice changes nothing.

Sources: E.164 and RFC 3966 (by phonenumbers), RFC 5322 and RFC 6068 (the forms people paste), UTS 46 (IDNA domains).
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

Kind: TypeAlias = Literal["phone", "email", "other"]

_CACHED: Final = 4_096  # spellings
_CACHED_CHARACTERS: Final = 320  # longer ones are not kept, so that the cache stays small
_PARSED_CHARACTERS: Final = 1_024  # no address is longer; beyond it a text is only folded
_FORK_WAITS_SECONDS: Final = 1.0  # for a region that another thread loads; that takes milliseconds
_ROUNDS: Final = 8  # each round of folding undoes one layer of spelling; two are usual

_PREFIX: Final = re.compile(
    r"(?:whatsapp|smsto|sms|mmsto|mms|rcs|tel|callto|phone|voice|fax|viber|signal|imessage|mailto|e-?mail)\s*:(?://)?\s*",
    re.IGNORECASE,
)
_URI: Final = re.compile(r"(?:tel|sms|smsto|mmsto|mms|callto|mailto)\s*:", re.IGNORECASE)
_PHONE: Final = re.compile(r"[+(]*\d[\d\s().\-/+]*(?:(?:;ext=|ext\.?|x|#)\s*\d{1,7})?(?:;[a-z\d\-]+=[^;]*)*", re.IGNORECASE)
_VANITY: Final = re.compile(r"\+\d[\dA-Za-z\s().\-]*")
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc", "-"))
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)
_COMMENT: Final = re.compile(r"\([^()]*\)")
_QUOTED_LOCAL: Final = re.compile(r'"([^"\\\s@]+)"')
_LOCAL: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,256}")
_LABEL: Final = re.compile(r"[a-z\d_](?:[a-z\d_\-]{0,61}[a-z\d_])?")
_DOMAIN_CHARACTERS: Final = 253


@dataclass(frozen=True, slots=True)
class Address:
    """
    One recipient.

    Args:
        kind: "phone", "email" or "other".
        value: E.164 (`+12125550173`), lower-case e-mail with an ASCII domain, or the text as given. Never in the repr.
        parsed: Whether it was understood; people rules deny what was not.
    """

    kind: Kind
    value: str = field(repr=False)
    parsed: bool


def normalise(recipient: str, *, region: str | None = None) -> Address:
    """
    One value for every spelling of *recipient*.

    Zero-width, control and direction characters go, digits of other scripts and full-width forms are folded, channel
    prefixes and display names are dropped. Phone numbers that nobody can place without a country keep their digits only
    (with `parsed=False`), e-mail addresses are case-folded whole.

    Args:
        recipient: As the send was given it.
        region: ISO 3166 country for numbers in national spelling, such as `"US"`; without it only `+` numbers parse.

    >>> normalise("whatsapp:+1 (212) 555-0173").value
    '+12125550173'
    >>> normalise("Ann <Ann@EXAMPLE.com>")
    Address(kind='email', parsed=True)
    """
    exact = recipient if type(recipient) is str else str.__str__(recipient)
    return _cached(exact, region) if len(exact) <= _CACHED_CHARACTERS else _normalised(exact, region)


def _normalised(text: str, region: str | None) -> Address:
    given = text = _folded(text)
    if len(text) > _PARSED_CHARACTERS:
        return Address("other", text, parsed=False)
    for _ in range(_ROUNDS):
        bare = _unwrapped(text)
        if bare == text:
            break
        text = bare
    else:
        return Address("other", given, parsed=False)  # wrapped deeper than anything real
    if "@" in text:
        return _email(text) or Address("other", text, parsed=False)
    return _phone(text, region) or Address("other", text, parsed=False)


_cached = lru_cache(maxsize=_CACHED)(_normalised)


def _folded(text: str) -> str:
    """Compatibility forms, digits of every script and invisible characters; to a fixed point, as each may free another."""
    if text.isascii() and text.isprintable():
        return text.strip()
    for _ in range(_ROUNDS):
        folded = unicodedata.normalize("NFKC", "".join(map(_character, text))).translate(_DASHES).strip()
        if folded == text:
            break
        text = folded
    return text


def _character(one: str) -> str:
    if one.isascii() and one.isprintable():
        return one
    category = unicodedata.category(one)
    if category[0] == "Z" or one in "\t\n\r\v\f":
        return " "
    if category in {"Cf", "Cc"} or one in _INVISIBLE:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(one))
    return one


def _unwrapped(text: str) -> str:
    """One layer of channel prefix or display name less."""
    prefix = _PREFIX.match(text)
    if prefix and prefix.end() < len(text):
        rest = text[prefix.end() :]
        if _URI.match(text):
            rest = unquote(rest.partition("?")[0], errors="strict") if _decodes(rest) else rest
        return _folded(rest) or text
    if text.endswith(">"):
        inner = text[text.rfind("<") + 1 : -1].strip() if "<" in text else ""
        return inner or text
    return text


def _decodes(text: str) -> bool:
    try:
        unquote(text.partition("?")[0], errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _email(text: str) -> Address | None:
    bare = _COMMENT.sub("", text)
    local, _, domain = bare.rpartition("@")
    local, domain = local.strip(), domain.strip()
    quoted = _QUOTED_LOCAL.fullmatch(local)
    local = _casefolded(quoted[1] if quoted else local)
    ascii_domain = _domain(domain)
    if ascii_domain is None or not _LOCAL.fullmatch(local):
        return None
    return Address("email", f"{local}@{ascii_domain}", parsed=True)


def _casefolded(text: str) -> str:
    for _ in range(_ROUNDS):
        folded = unicodedata.normalize("NFKC", text.casefold())
        if folded == text:
            break
        text = folded
    return text


def _domain(domain: str) -> str | None:
    if not domain.isascii():
        import idna  # noqa: PLC0415 - only for domains that need it

        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (UnicodeError, ValueError, IndexError):
            return None
    lowered = domain.lower().removesuffix(".")
    if len(lowered) > _DOMAIN_CHARACTERS or not all(_LABEL.fullmatch(label) for label in lowered.split(".")):
        return None
    return lowered


def _phone(text: str, region: str | None) -> Address | None:
    plain = _PHONE.fullmatch(text)
    if not plain and not _VANITY.fullmatch(text):
        return None
    number = _e164(text, region)
    if number is not None:
        return Address("phone", number, parsed=True)
    if not plain or ";" in text:
        return None
    # Nobody can say whose it is, but two spellings of it are still one: only digits and a leading plus remain.
    digits = "".join(one for one in text if one.isdigit())
    bare = f"+{digits}" if text.startswith("+") else digits
    number = _e164(bare, region)  # the separators may be all that stood in the way
    return Address("phone", bare, parsed=False) if number is None else Address("phone", number, parsed=True)


def _e164(text: str, region: str | None) -> str | None:
    """E.164, or None when the number has no country or cannot exist."""
    import phonenumbers  # noqa: PLC0415 - heavy, and not needed at import

    load()
    country = region.upper() if region else None
    for _ in range(_ROUNDS):
        try:
            number = phonenumbers.parse(text, country)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        if written == text:
            return written
        text, country = written, None  # a national prefix behind the country code goes in a second round
    return None


@cache
def load() -> None:
    """
    Load now what normalising needs, and keep it usable across forks.

    What the first send would import may hang a child that is forked meanwhile. And phonenumbers loads each region on
    first use, under a lock of the whole process. A fork while another thread does so would leave that lock locked in the
    child for ever; so a fork waits for it.
    """
    import idna  # noqa: F401, PLC0415
    from phonenumbers import PhoneMetadata  # noqa: PLC0415 - heavy, and not needed at import

    held: list[bool] = []

    def before() -> None:
        held.append(PhoneMetadata._metadata_lock.acquire(timeout=_FORK_WAITS_SECONDS))  # noqa: SLF001 - no other way

    def in_parent() -> None:
        if held.pop():
            PhoneMetadata._metadata_lock.release()  # noqa: SLF001

    def in_child() -> None:
        held.clear()
        PhoneMetadata._metadata_lock = threading.Lock()  # noqa: SLF001

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
