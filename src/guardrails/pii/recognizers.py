"""
Presidio's recognizers of the default set, each behind a gate, with three of their gaps closed.

A gate is a regular expression that every possible match must satisfy; a text without one skips the recognizer. Results are
those of Presidio's own class, except where the docstring says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Any, ClassVar, Final

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    UrlRecognizer,
    UsSsnRecognizer,
)

from guardrails.pii.offline import bundled_suffixes
from guardrails.pii.patterns import TimedPattern, timed
from guardrails.pii.phones import LikelyPhone

# Suffixes under which a bare name is a web address and not two words joined by a full stop ("ok..th", "me.ne").
BARE_SUFFIXES: Final = (
    *("com", "org", "net", "edu", "gov", "mil", "info", "biz", "io", "dev", "app", "eu"),
    *("uk", "de", "fr", "nl", "ch", "ca", "au", "jp", "cn", "ru", "br", "pl"),
)
_CAPITALS: Final = str.maketrans(ascii_lowercase, ascii_uppercase)  # any other letter would change places
_LABELS: Final = r"(?:[a-z0-9][a-z0-9-]{0,62}+(?<!-)\.){1,8}"
_REST: Final = r"""[^\s()<>"']*[^\s()<>"'.,;:!?]"""


class Gated(EntityRecognizer):
    """Skips texts in which nothing can match."""

    GATE: ClassVar[re.Pattern[str]]

    def analyze(self, text: str, *args: Any, **kwargs: Any) -> list[RecognizerResult]:
        """As the recognizer behind the gate."""
        if self.GATE.search(text) is None:
            return []
        found: list[RecognizerResult] = super().analyze(text, *args, **kwargs)
        return found


class OwnPatterns(Gated, PatternRecognizer):
    """
    Patterns of ours for one entity, which a subclass names; for `MaskPII`, and for any `AnalyzerEngine`.

    Args:
        patterns: Instead of those of the class.
        context: Words that raise the score of what stands behind them, instead of those of the class.
        supported_language: The language to register it under.
        supported_entity: The entity to find; None for the one of the class.
        name: Stands in results; None for the name of the class.
    """

    ENTITY: ClassVar[str]
    PATTERNS: ClassVar[Sequence[Pattern]]
    CONTEXT: ClassVar[Sequence[str]] = ()
    FLAGS: ClassVar[re.RegexFlag] = re.DOTALL | re.MULTILINE | re.IGNORECASE  # presidio's default

    def __init__(
        self,
        patterns: list[Pattern] | None = None,
        context: list[str] | None = None,
        supported_language: str = "en",
        supported_entity: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            supported_entity=supported_entity or self.ENTITY,
            patterns=patterns or list(self.PATTERNS),
            context=list(self.CONTEXT) if context is None else context,
            supported_language=supported_language,
            name=name or type(self).__name__,
            global_regex_flags=self.FLAGS,
        )


class GatedEmail(Gated, EmailRecognizer):
    """E-mail addresses; validated against the bundled suffixes, whatever else happens to tldextract in this process."""

    GATE = re.compile("@")

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the domain is under a public suffix."""
        return bundled_suffixes()(pattern_text).fqdn != ""


class GatedCreditCard(Gated, CreditCardRecognizer):
    """
    Payment cards; also Mastercard's second range (2221 to 2720) and up to 19 digits, which Presidio leaves in the text.

    Source: ISO/IEC 7812 issuer numbers as Mastercard publishes them; the check digit decides, as for the others.
    """

    GATE = re.compile(r"\d{4}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}")
    PATTERNS: list[Pattern] = [  # noqa: RUF012 - presidio's own attribute
        *CreditCardRecognizer.PATTERNS,
        TimedPattern(
            "Mastercard 2-series",
            r"\b(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)[- ]?\d{4}[- ]?\d{4}[- ]?\d{4}\b",
            0.3,
        ),
        TimedPattern(
            "Up to 19 digits",  # Visa, Discover, JCB, UnionPay
            r"\b(?:4\d{3}|6011|64[4-9]\d|65\d{2}|62\d{2}|35(?:2[89]|[3-8]\d))(?:[- ]?\d{4}){3}[- ]?\d{1,3}\b",
            0.3,
        ),
    ]


class IbanInAnyCase(IbanRecognizer):
    """Reads small letters as capitals."""

    def analyze(self, text: str, *args: Any, **kwargs: Any) -> list[RecognizerResult]:
        """As `IbanRecognizer.analyze`, for the text in capitals."""
        found: list[RecognizerResult] = super().analyze(text.translate(_CAPITALS), *args, **kwargs)
        return found


class GatedIban(Gated, IbanInAnyCase):
    """Bank accounts; also in small letters, which Presidio leaves in the text."""

    GATE = re.compile(r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]{4}")


class GatedSsn(Gated, UsSsnRecognizer):
    """
    US social security numbers; also the three that are printed as samples (078-05-1120), which Presidio leaves in the text.

    A sample in a message is still a number that looks like somebody's; masking it costs nothing.
    """

    GATE = re.compile(r"[0-9]{3}[- .]?[0-9]{2}[- .]?[0-9]{4}")
    SAMPLES: Final = frozenset({"123456789", "987654320", "078051120"})

    def invalidate_result(self, pattern_text: str) -> bool:
        """Whether it cannot be a number of a person."""
        if re.sub(r"[- .]", "", pattern_text) in self.SAMPLES:
            return len({character for character in pattern_text if character in "- ."}) > 1
        return bool(super().invalidate_result(pattern_text))


class GatedIp(Gated, IpRecognizer):
    """IP addresses."""

    GATE = re.compile(r"\d\.\d{1,3}\.\d|:[0-9A-Fa-f]{0,4}:")


class GatedMac(Gated, MacAddressRecognizer):
    """Hardware addresses."""

    GATE = re.compile(r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.")


class StrictUrl(Gated, UrlRecognizer):
    """
    Web addresses: with a scheme, with `www.`, with a path, or under one of `BARE_SUFFIXES`.

    Differs from Presidio: its 600 suffixes fire where two words are joined by a full stop; and after the suffix it stops at a
    port, and at `.com` in `.community`, so that the rest of the address, with its path and query, would stay.
    """

    GATE = re.compile(r"://|\.[a-z]{2}|www\d{0,3}\.", re.IGNORECASE)
    PATTERNS = [  # noqa: RUF012 - presidio's own attribute
        TimedPattern("Scheme", r"\b(?:https?|ftp|wss?)://" + _REST, 0.6),
        TimedPattern("www", r"\bwww\d{0,3}\." + _REST, 0.6),
        TimedPattern("Path", rf"(?<![\w.-]){_LABELS}[a-z]{{2,24}}(?::\d{{1,5}})?/{_REST}", 0.5),
        TimedPattern("Bare", rf"(?<![\w.-]){_LABELS}(?:{'|'.join(BARE_SUFFIXES)})(?![\w-]|\.\w)(?:[?#]{_REST})?", 0.5),
    ]


DEFAULT_RECOGNIZERS: Final[tuple[type[EntityRecognizer], ...]] = (
    LikelyPhone,
    GatedEmail,
    GatedCreditCard,
    GatedIban,
    GatedSsn,
    GatedIp,
    StrictUrl,
    GatedMac,
)


def build(kind: Callable[..., EntityRecognizer], language: str) -> EntityRecognizer:
    """One recognizer of *kind* with patterns of its own that keep time."""
    patterns = getattr(kind, "PATTERNS", None)
    if patterns is None:
        return kind(supported_language=language)
    return kind(supported_language=language, patterns=timed(patterns))
