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

# presidio-analyzer 2.2.366.
_PRESIDIO: Final = frozenset({"1a80c3db703b5e2d61275401301a0e6a8848d6a11f2aad0f152003c114af64ed"})


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


@cache
def presidio_fingerprint() -> str:
    """Of what decides which results an engine with pattern recognizers returns."""
    from presidio_analyzer import (  # noqa: PLC0415 - only with detection
        AnalyzerEngine,
        EntityRecognizer,
        PatternRecognizer,
        RecognizerRegistry,
        RecognizerResult,
    )
    from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer  # noqa: PLC0415
    from presidio_analyzer.nlp_engine import NoOpNlpEngine  # noqa: PLC0415
    from presidio_analyzer.predefined_recognizers import IbanRecognizer  # noqa: PLC0415

    members = (
        *((AnalyzerEngine, name) for name in ("analyze", "_enhance_using_context", "get_supported_entities")),
        *((AnalyzerEngine, f"_AnalyzerEngine__{name}") for name in ("remove_low_scores", "get_result_score_threshold")),
        (AnalyzerEngine, "_AnalyzerEngine__add_recognizer_id_if_not_exists"),
        *((EntityRecognizer, name) for name in ("remove_duplicates", "enhance_using_context", "sanitize_value")),
        *((PatternRecognizer, name) for name in ("analyze", "_PatternRecognizer__analyze_patterns", "validate_result")),
        (PatternRecognizer, "invalidate_result"),
        (RecognizerRegistry, "get_recognizers"),
        *((RecognizerResult, name) for name in ("__eq__", "__hash__", "contained_in", "equal_indices")),
    )
    functions = [getattr(owner, name, None) for owner, name in members]
    if None in functions:
        return ""
    return fingerprint((*filter(None, functions), LemmaContextAwareEnhancer, NoOpNlpEngine, IbanRecognizer))


def knows_presidio() -> bool:
    """Whether the installed Presidio is known."""
    return presidio_fingerprint() in _PRESIDIO
