"""What is never masked, and what always is: strings and patterns that a user lists."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, final

import regex  # type: ignore[import-untyped]  # it has no types

from guardrails.errors import ConfigError
from guardrails.pii.failures import SpeakableError

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

DENIED: Final = "DENIED"
_SECONDS: Final = 1.0  # of an allowed pattern, for one window
# Thai, Lao, Burmese, Khmer, kana, Han, Hangul.
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_ENTITY: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")

MOST_WORDS: Final = 10_000  # of one list: compiling so many takes seconds, and looking at a message milliseconds (G11)
MOST_CHARACTERS: Final = 200_000  # of all words of one list

AllowList = Collection["str | re.Pattern[str]"]
DenyList = Collection[str] | Mapping[str, Collection[str]]


def check_size(given: AllowList | DenyList, *, argument: str) -> None:
    """
    Whether a list is within its bounds.

    Args:
        given: Words, or entity name to words; what else it may hold is checked elsewhere.
        argument: Whose, for the error.

    Raises:
        ConfigError: It is too long.
    """
    lists = given.values() if isinstance(given, Mapping) else (given,)
    number = characters = 0
    for words in lists:
        if not isinstance(words, Collection):
            continue
        number += len(words)
        if number > MOST_WORDS:
            break
        characters += sum(len(word) for word in words if isinstance(word, str))
    if number > MOST_WORDS or characters > MOST_CHARACTERS:
        raise ConfigError(
            f"MaskPII({argument}=...) takes at most {MOST_WORDS:,} words, of {MOST_CHARACTERS:,} characters together: "
            "what people have belongs into a vault (own), and a longer list into a recognizer of yours (recognizers=)"
        )


@final
class Allowed:
    """
    Where nothing is found.

    Args:
        given: Exact strings, and compiled patterns.

    Raises:
        ConfigError: Something else is among them, or there are too many.
    """

    __slots__ = ("_patterns", "words")

    def __init__(self, given: AllowList = ()) -> None:
        if isinstance(given, str | re.Pattern) or not isinstance(given, Collection):
            raise ConfigError("MaskPII(allow=...) takes a list of str and of compiled patterns")
        check_size(given, argument="allow")
        words: list[str] = []
        patterns: list[Any] = []
        for one in given:
            if isinstance(one, str) and one:
                words.append(one)
            elif isinstance(one, re.Pattern) and isinstance(one.pattern, str):
                flags = one.flags & (re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.ASCII)
                patterns.append(regex.compile(one.pattern, int(flags)))
            else:
                raise ConfigError("MaskPII(allow=...) takes a list of non-empty str and of compiled patterns of str")
        self.words: tuple[str, ...] = tuple(words)
        self._patterns = tuple(patterns)

    def places(self, text: str) -> list[tuple[int, int]]:
        """
        Start and end of everything in *text* that is allowed.

        Raises:
            SpeakableError: A pattern ran out of time.
        """
        if not self.words and not self._patterns:
            return []
        return [*self._of_words(text), *self._of_patterns(text)]

    def _of_words(self, text: str) -> Iterator[tuple[int, int]]:
        for word in self.words:
            at = text.find(word)
            while at >= 0:
                yield at, at + len(word)
                at = text.find(word, at + 1)

    def _of_patterns(self, text: str) -> Iterator[tuple[int, int]]:
        for pattern in self._patterns:
            try:
                yield from (match.span() for match in pattern.finditer(text, timeout=_SECONDS))
            except TimeoutError:
                pass
            else:
                continue
            raise SpeakableError(f"a pattern of allow= took more than {_SECONDS:g} seconds")

    def __len__(self) -> int:
        return len(self.words) + len(self._patterns)


def denied(given: DenyList, language: str) -> list[EntityRecognizer]:
    """
    Presidio recognizers for what is always masked: whole words, in any case; anywhere in scripts that put no space between words.

    Args:
        given: Strings, found as `DENIED`; or entity name to strings.
        language: The language to register them under.

    Raises:
        ConfigError: Something else was given, or too much.
    """
    from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer  # noqa: PLC0415 - loads presidio

    if isinstance(given, str) or not isinstance(given, Collection):
        raise ConfigError("MaskPII(deny=...) takes a list of str, or a mapping of entity name to list of str")
    check_size(given, argument="deny")
    by_entity = given if isinstance(given, Mapping) else {DENIED: given} if given else {}
    found: list[EntityRecognizer] = []
    for entity, words in by_entity.items():
        if not isinstance(entity, str) or _ENTITY.fullmatch(entity) is None:
            raise ConfigError(f"MaskPII(deny=...): {entity!r} is no entity name; write it in capitals, such as PROJECT")
        if isinstance(words, str) or not isinstance(words, Collection) or not words:
            raise ConfigError(f"MaskPII(deny={{{entity!r}: ...}}) takes a list of at least one str")
        if not all(isinstance(word, str) and word.strip() for word in words):
            raise ConfigError(f"MaskPII(deny={{{entity!r}: ...}}): every entry is a str that is not blank")
        longest_first = sorted({word.strip() for word in words}, key=lambda word: (-len(word), word))
        apart = [word for word in longest_first if _UNSPACED.search(word) is None]
        within = "|".join(re.escape(word) for word in longest_first if _UNSPACED.search(word) is not None)
        found.append(
            PatternRecognizer(
                entity,
                patterns=[Pattern("inside of a sentence", within, EntityRecognizer.MAX_SCORE)] if within else [],
                deny_list=apart,
                name=f"Denied{entity}",
                supported_language=language,
            )
        )
    return found
