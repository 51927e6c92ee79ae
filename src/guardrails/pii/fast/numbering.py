"""
Which strings of digits are a phone number of a region, from the metadata of phonenumbers and without parsing most of them.

1. `may_be` may say yes too often, never too rarely.
2. `verdict` answers where the answer is exact (no prefix, no country code in front), and None where phonenumbers must parse.

Source: phonenumbers 9.0 `parse`, `is_valid_number`, `_is_national_prefix_present_if_required`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

_TYPES: Final = (
    *("premium_rate", "toll_free", "shared_cost", "voip", "personal_number"),
    *("pager", "uan", "voicemail", "fixed_line", "mobile"),
)
_FIRST_GROUP_ONLY: Final = re.compile(r"\(?\$1\)?|\(?\\1\)?")
_NEVER: Final = re.compile(r"(?!)")


class Numbering:
    """
    The numbering plan that numbers written without a country code in a region follow.

    Args:
        region: The region, such as `"US"`.

    Raises:
        ValueError: phonenumbers does not know the region.
    """

    __slots__ = ("_abroad", "_begins", "_direct", "_may_be", "could_be", "key")

    def __init__(self, region: str) -> None:
        own = _metadata(region)
        code = str(own.country_code)
        sharing = [_metadata(each) for each in COUNTRY_CODE_TO_REGION_CODE[own.country_code]]
        prefix = own.national_prefix_for_parsing or ""
        valid = _alternatives(_valid(each) for each in sharing)
        self._abroad = re.compile(own.international_prefix) if own.international_prefix else _NEVER
        self._begins = re.compile(_alternatives([code, *([prefix] if prefix else [])]))
        # A first part that was stripped, or none: country code, prefix, or both; the rest is a number of a sharing region.
        stripped = f"(?:{code})?" + (f"(?:{_plain(prefix)})?" * 2 if prefix else "")
        # A prefix that rewrites what follows it (carrier codes) consumes the number: whatever begins like that is parsed.
        rewritten = f"|(?:{code})?{_plain(prefix)}\\d*" if own.national_prefix_transform_rule else ""
        self._may_be = re.compile(f"(?:{stripped}{valid}){rewritten}")
        needs = _needs_prefix(sharing[0])
        direct = f"(?={valid}$)(?!{needs})\\d*" if _simple(sharing) else None
        self._direct = re.compile(direct) if direct else None
        begins = f"(?={self._begins.pattern})(?:{self._may_be.pattern})"
        abroad = f"(?:{_plain(own.international_prefix)})\\d*" if own.international_prefix else "(?!)"
        #: A pattern for all strings of digits that are not certainly wrong.
        self.could_be: str = f"(?:{begins}|{abroad}|{direct or self._may_be.pattern})"
        #: Regions with the same key give the same answers.
        self.key: tuple[object, ...] = (
            code,
            prefix,
            own.international_prefix,
            own.national_prefix_transform_rule,
            _description(own.general_desc),
        )

    def may_be(self, digits: str) -> bool:
        """Whether *digits* could be a number, dialled from within the region or abroad."""
        return self._may_be.fullmatch(digits) is not None or self._abroad.match(digits) is not None

    def dialled_abroad(self, digits: str) -> str | None:
        """
        What follows the prefix for calls abroad in *digits*: a number whose answer is that of `+` and the rest, in any region.

        None if there is no such prefix. One before another 0 is none, as phonenumbers has it.
        """
        prefix = self._abroad.match(digits)
        if prefix is None or digits[prefix.end() : prefix.end() + 1] in ("", "0"):
            return None
        return digits[prefix.end() :]

    def verdict(self, digits: str) -> bool | None:
        """Whether *digits* are a valid number as `Leniency.VALID` has it; None: let phonenumbers parse them."""
        if self._direct is None or self._begins.match(digits) is not None or self._abroad.match(digits) is not None:
            return None
        return self._direct.fullmatch(digits) is not None


def _metadata(region: str) -> Any:
    found = PhoneMetadata.metadata_for_region(region)
    if found is None:
        raise ValueError(f"no numbering plan for {region!r}")
    return found


def _plain(pattern: str) -> str:
    """*pattern* without capturing groups."""
    return re.sub(r"\((?!\?)", "(?:", pattern)


def _alternatives(patterns: Iterable[str]) -> str:
    return "(?:" + "|".join(dict.fromkeys(map(_plain, patterns))) + ")"


def _description(description: Any) -> str:
    """A pattern for what *description* describes; its lengths count where it names any."""
    pattern = description and description.national_number_pattern
    if not pattern:
        return "(?!)"
    lengths = description.possible_length
    sized = "(?=" + "|".join(rf"\d{{{length}}}$" for length in lengths if length > 0) + ")" if lengths else ""
    return sized + f"(?:{_plain(pattern)})" if not lengths or any(length > 0 for length in lengths) else "(?!)"


def _valid(metadata: Any) -> str:
    """A pattern for the valid numbers of one region."""
    kinds = _alternatives(_description(getattr(metadata, kind)) for kind in _TYPES)
    return f"(?={_description(metadata.general_desc)}$){kinds}"


def _simple(sharing: list[Any]) -> bool:
    """
    Whether a number that is valid in any of the regions is valid as such.

    Not so where leading digits give a number to one region and another's pattern fits it: that region's answer counts.
    """
    return len(sharing) == 1 or all(each.leading_digits is None for each in sharing)


def _needs_prefix(metadata: Any) -> str:
    """A pattern for whole numbers that are only valid with the national prefix in front."""
    fits: list[str] = []
    needs: list[str] = []
    for each in metadata.number_format:
        leading = f"(?={_plain(each.leading_digits_pattern[-1])})" if each.leading_digits_pattern else ""
        this = f"{leading}{_plain(each.pattern)}$"
        rule = each.national_prefix_formatting_rule
        if rule and not each.national_prefix_optional_when_formatting and not _FIRST_GROUP_ONLY.fullmatch(rule):
            earlier = f"(?!{'|'.join(fits)})" if fits else ""
            needs.append(earlier + this)
        fits.append(this)
    return _alternatives(needs) if needs else "(?!)"
