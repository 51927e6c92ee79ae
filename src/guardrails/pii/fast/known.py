"""
Whether the installed code is the code that the fast path was made for.

The fast path repeats decisions of phonenumbers and of Presidio. It is used only where the functions that take them are known,
by a digest of their source; with any other version the recognizers themselves run, slower and right.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

# phonenumbers 9.0.43 with presidio-analyzer 2.2.366. `make differential` says whether another version may be added.
_PHONES: Final = frozenset({"6fa6655d7078f5c2d2f7e80359bd80519ed4a97afaab3f0715cbba8e24ec8e71"})


def fingerprint(functions: Iterable[Callable[..., Any] | type]) -> str:
    """SHA-256 of the source of *functions*; empty if a source is not there."""
    digest = hashlib.sha256()
    try:
        for function in functions:
            digest.update(inspect.getsource(function).encode())
    except (OSError, TypeError):
        return ""
    return digest.hexdigest()


@cache
def phones_fingerprint() -> str:
    """Of what decides where phone numbers are."""
    from phonenumbers import PhoneNumberMatcher, phonenumbermatcher, phonenumberutil  # noqa: PLC0415 - only with detection
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer  # noqa: PLC0415

    names = (
        *("parse", "is_valid_number", "is_valid_number_for_region", "national_significant_number", "_extract_country_code"),
        *("_build_national_number_for_parsing", "_is_viable_phone_number", "_maybe_strip_extension"),
        *("_maybe_extract_country_code", "_maybe_strip_i18n_prefix_and_normalize", "_parse_prefix_as_idd"),
        *("_maybe_strip_national_prefix_carrier_code", "_test_number_length", "_is_number_matching_desc"),
        *("_number_type_helper", "_region_code_for_number_from_list", "_choose_formatting_pattern_for_number"),
        "_formatting_rule_has_first_group_only",
    )
    verify = (phonenumbermatcher._verify, phonenumbermatcher._is_national_prefix_present_if_required)  # noqa: SLF001
    decide = [getattr(phonenumberutil, name, None) for name in names]
    if None in decide:
        return ""
    return fingerprint((PhoneRecognizer, PhoneNumberMatcher, *verify, *filter(None, decide)))


def knows_phones() -> bool:
    """Whether the installed phonenumbers and Presidio's recognizer are known."""
    return phones_fingerprint() in _PHONES
