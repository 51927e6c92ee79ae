"""
What must not go out although every detection missed it: payment cards, IBANs, e-mail addresses, US social security numbers.

Independent of the mask control on purpose: other code, the standard library only, and nothing in common that could fail in
both. It knows few kinds and is sure of them: a check digit, or a form that nothing else has. Time is linear in the text.

Sources: ISO/IEC 7812-1 (Luhn, issuer numbers), ISO 13616 and the SWIFT IBAN registry (lengths, mod 97), RFC 5321 (addresses),
IANA root zone (top-level domains), SSA POMS RM 10201.030 (numbers that are never issued).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters, digits
from typing import Final, NamedTuple

_INVISIBLE: Final = dict.fromkeys(
    [0xAD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
)
_SHAPE: Final = str.maketrans({one: "0" if one in digits else "a" for one in digits + ascii_letters})
_DENSE: Final = str.maketrans("", "", " \t.-")
_NINE: Final = "0" * 9  # digits of the shortest number
_GAP: Final = r"[ \t.\-\u00a0\u2007\u2009\u202f\u2010-\u2015]"
_RUN: Final = re.compile(rf"\d(?<!\w\d)(?:{_GAP}?\d){{12,}}(?!\w)")
_GROUP: Final = re.compile(r"\d+")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19  # digits
_SHORTEST_GROUP: Final = 3  # digits of all groups but a card's last
_MOST_GROUPS: Final = _LONGEST_CARD // _SHORTEST_GROUP + 1
# First digits, and how many digits follow from them in all.
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12,15}"  # Discover
    r"|(?:30[0-5]|309|36\d|3[89]\d)\d{11}"  # Diners Club
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|62\d{14,17}"  # UnionPay
)
# Each begins at a digit and then looks back: digits are rarer than letters, and most texts are left at once.
_IBAN: Final = re.compile(r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?<!\w[A-Za-z]{2}[0-9]{2})(?=[ \-\u00a0]?[A-Za-z0-9])")
_IBAN_GAPS: Final = frozenset(" -\u00a0")
_IBAN_LENGTHS: Final = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FI FK FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_AT: Final = re.compile(r"(?<=[\w.+%'\-])@(?:[^\W_](?:[\w\-]{0,62})\.){1,8}([^\W\d_]{2,63})(?![.\-]*\w)")
# Top-level domains of countries, and the commonest others: `ann@host.local` is nobody's address.
_TOP_LEVEL: Final = re.compile(
    r"com|net|org|edu|gov|mil|int|info|biz|name|pro|mobi|jobs|coop|aero|app|dev|page|blog|online|site|website|store"
    r"|shop|cloud|tech|email|mail|xyz|club|live|life|news|world|today|agency|company|business|solutions|services"
    r"|global|group|digital|media|studio|design|health|care|clinic|dental|doctor|bank|finance|insurance|legal|law"
    r"|school|academy|university|church|social|community|team|network|software|systems|center|support|space|work|tools"
    r"|top|icu|vip|fun|art|homes|house|farm|london|berlin|paris|tokyo|wien|swiss|scot|wales|africa|asia|nyc"
    r"|ac|ad|ae|af|ag|ai|al|am|ao|aq|ar|as|at|au|aw|ax|az|ba|bb|bd|be|bf|bg|bh|bi|bj|bm|bn|bo|br|bs|bt|bw|by|bz|ca|cc"
    r"|cd|cf|cg|ch|ci|ck|cl|cm|cn|co|cr|cu|cv|cw|cx|cy|cz|de|dj|dk|dm|do|dz|ec|ee|eg|er|es|et|eu|fi|fj|fk|fm|fo|fr|ga"
    r"|gd|ge|gf|gg|gh|gi|gl|gm|gn|gp|gq|gr|gs|gt|gu|gw|gy|hk|hm|hn|hr|ht|hu|id|ie|il|im|in|io|iq|ir|is|it|je|jm|jo|jp"
    r"|ke|kg|kh|ki|km|kn|kp|kr|kw|ky|kz|la|lb|lc|li|lk|lr|ls|lt|lu|lv|ly|ma|mc|md|me|mg|mh|mk|ml|mm|mn|mo|mp|mq|mr|ms"
    r"|mt|mu|mv|mw|mx|my|mz|na|nc|ne|nf|ng|ni|nl|no|np|nr|nu|nz|om|pa|pe|pf|pg|ph|pk|pl|pm|pn|pr|ps|pt|pw|py|qa|re|ro"
    r"|rs|ru|rw|sa|sb|sc|sd|se|sg|sh|si|sk|sl|sm|sn|so|sr|ss|st|su|sv|sx|sy|sz|tc|td|tf|tg|th|tj|tk|tl|tm|tn|to|tr|tt"
    r"|tv|tw|tz|ua|ug|uk|us|uy|uz|va|vc|ve|vg|vi|vn|vu|wf|ws|ye|yt|za|zm|zw"
)
_LOCAL: Final = re.compile(r"[\w.+%'\-]{1,64}\Z")
_SSN: Final = re.compile(
    r"(?!000|666|9)\d{3}([ .\-\u2010-\u2015])(?<![\w+.\-]\d{3}.)(?<!\d \d{3}.)(?!00)\d{2}\1(?!0000)\d{4}(?![\w\-])(?! \d)"
)
CERTAIN: Final = frozenset({"EMAIL_ADDRESS", "IBAN_CODE", "US_SSN", "CREDIT_CARD"})


class Exposure(NamedTuple):
    """
    Something that a text shows.

    Args:
        type: Presidio's entity name.
        value: In one spelling: digits only, upper case, or case-folded.
    """

    type: str
    value: str

    def __repr__(self) -> str:
        return f"Exposure({self.type})"


def exposures(text: str) -> list[Exposure]:
    """
    What *text* shows, each value once.

    >>> exposures("Card 4242 4242 4242 4242, write to Ann@Example.com")
    [Exposure(EMAIL_ADDRESS), Exposure(CREDIT_CARD)]
    """
    if not text.isascii():
        text = text.translate(_INVISIBLE)
    found: list[Exposure] = []
    if "@" in text:
        found += _addresses(text)
    # Most texts are left at once: looked for as shapes, which costs a tenth of the patterns.
    shape = text.translate(_SHAPE) if text.isascii() else None
    if shape is None or "aa00" in shape:
        found += _accounts(text)
    dense = None if shape is None else shape.translate(_DENSE)
    if dense is None or _NINE in dense:
        found += [Exposure("US_SSN", _digits(match[0])) for match in _SSN.finditer(text)]
        found += _cards(text)
    return list(dict.fromkeys(found)) if len(found) > 1 else found


def _addresses(text: str) -> Iterator[Exposure]:
    for match in _AT.finditer(text):
        if _TOP_LEVEL.fullmatch(match[1].lower()) is None:
            continue
        local = _LOCAL.search(text, max(0, match.start() - 64), match.start())
        if local is not None:
            yield Exposure("EMAIL_ADDRESS", f"{local[0]}{match[0]}".casefold())


def _cards(text: str) -> Iterator[Exposure]:
    for run in _RUN.finditer(text):
        groups = [_digits(group[0]) for group in _GROUP.finditer(run[0])]
        for first in range(len(groups)):
            number = ""
            for group in groups[first : first + _MOST_GROUPS]:
                number += group
                if len(number) > _LONGEST_CARD:
                    break
                if len(number) >= _SHORTEST_CARD and _ISSUERS.fullmatch(number) and _is_luhn(number):
                    yield Exposure("CREDIT_CARD", number)
                if len(group) < _SHORTEST_GROUP:
                    break


def _accounts(text: str) -> Iterator[Exposure]:
    for start in _IBAN.finditer(text):
        begins = text[start.start() - 2 : start.end()]
        length = _IBAN_LENGTHS.get(begins[:2].upper())
        if length is None:
            continue
        letters = [*begins]
        at = start.end()
        while len(letters) < length and at < len(text):
            gap = text[at] in _IBAN_GAPS
            at += gap
            if at == len(text) or not (text[at].isascii() and text[at].isalnum()):
                break
            letters.append(text[at])
            at += 1
        if len(letters) == length and not (at < len(text) and (text[at].isalnum() or text[at] == "_")):
            account = "".join(letters).upper()
            if _is_iban(account):
                yield Exposure("IBAN_CODE", account)


def _digits(text: str) -> str:
    """The decimal digits in *text*, of any script, as 0 to 9."""
    return "".join(str(int(one)) for one in text if one.isdecimal())


def _is_luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(number))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004 - the digits of a two-digit number, added
    return total % 10 == 0


def _is_iban(account: str) -> bool:
    return int("".join(str(int(one, 36)) for one in account[4:] + account[:4])) % 97 == 1
