"""
Words by which people say that they want no more messages, as data with their source.

A message counts when it is nothing but such a word, in any case, with or without punctuation around it. People say it in
many more ways ("any reasonable manner", says 47 CFR 64.1200(a)(10)): a person or a classifier has to read the rest.

Sources:
    en: 47 CFR 64.1200(a)(10) (stop, quit, end, revoke, opt out, cancel, unsubscribe); Twilio's default keywords (stopall,
        optout) https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out; the required keywords of AWS End User
        Messaging (opt-out, remove, td) https://docs.aws.amazon.com/sms-voice/latest/userguide/keywords-required.html
    fr: arret, arrett, arrete of https://www.twilio.com/docs/proxy/opt-out-keywords, arret of AWS as above; accents as written
    others: the words of each language for stop and unsubscribe (our choice, no regulator's list)
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from guardrails.errors import ConfigError

_MOST_CHARACTERS: Final = 64

STOP_WORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "en": frozenset(
            {"stop", "stopall", "stop all", "quit", "end", "revoke", "opt out", "optout", "cancel", "unsubscribe"}
        )
        | frozenset({"remove", "td"}),
        "fr": frozenset({"stop", "arret", "arrett", "arrete", "desabonner", "desinscrire"}),
        "es": frozenset({"stop", "alto", "parar", "baja", "cancelar"}),
        "de": frozenset({"stop", "stopp", "abmelden", "abbestellen"}),
        "it": frozenset({"stop", "annulla", "disiscrivimi", "cancellami"}),
        "pt": frozenset({"stop", "parar", "sair", "cancelar"}),
        "nl": frozenset({"stop", "stoppen", "afmelden", "uitschrijven"}),
    }
)

# What says it on one channel and is ordinary language on another: in a chat or an e-mail "end" may answer a question.
_SHORT_ONLY: Final = frozenset({"end", "remove", "td", "alto", "sair"})
_SHORT_CHANNELS: Final = frozenset({"sms", "mms", "rcs", "whatsapp"})


def is_stop(text: str, *, channel: str = "sms", language: str | None = None) -> bool:
    """
    Whether *text* is nothing but a stop word.

    Args:
        text: What somebody wrote.
        channel: Where; a few words count on short messages only.
        language: One of `STOP_WORDS`; None looks for the words of all of them, which a person may use anywhere.

    Raises:
        ConfigError: There are no words for that language.

    >>> is_stop("Stop!"), is_stop("Arrêt", language="fr"), is_stop("please don't stop")
    (True, True, False)
    """
    if language is not None and language not in STOP_WORDS:
        raise ConfigError(f"no stop words for that language; there are {', '.join(STOP_WORDS)}")
    if len(text) > _MOST_CHARACTERS:
        return False
    said = _plain(text)
    # English words are understood everywhere: carriers require them in every programme.
    heard = {language, "en"} if language else STOP_WORDS.keys()
    if not any(said in STOP_WORDS[one] for one in heard):
        return False
    return said not in _SHORT_ONLY or channel in _SHORT_CHANNELS


def _plain(text: str) -> str:
    """Letters only, without accents and case; everything between them is one blank."""
    apart = unicodedata.normalize("NFKD", text)
    letters = (
        one if one.isalpha() else "" if unicodedata.category(one)[0] == "M" or unicodedata.category(one) == "Cf" else " "
        for one in apart.casefold()
    )
    return " ".join("".join(letters).split())
