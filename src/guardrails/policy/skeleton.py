"""A control to start from: a module, its tests, and how a policy names it."""

from __future__ import annotations

import keyword
import os
import re
import sys
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

_CONTROL: Final = '''\
"""NAME: refuses a message that holds one of the words it is given."""

from __future__ import annotations

from guardrails import Allow, Deny, Message
from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """What a policy may say under `settings:`."""

    model_config = ConfigDict(extra="forbid")

    words: list[str] = Field(min_length=1)


def NAME(message: Message, settings: Settings) -> Allow | Deny:
    """
    Decide about one message.

    After the mask, `message.text` is masked. Return `Allow()`, `Deny("why")` (no text of the message), `Rewrite("new text")` or
    `Defer(seconds)`. What takes longer than the deadline of its place in the policy, or raises, refuses the message.
    """
    text = message.text.casefold()
    if any(word.casefold() in text for word in settings.words):
        return Deny("a word that is not to be sent")
    return Allow()
'''

_TEST: Final = '''\
"""Tests of NAME: by itself, and in a guard."""

from __future__ import annotations

import pytest
from guardrails import Allow, Denied, Deny, Guard, Message, check
from guardrails.testing import RecordingSend, assert_never_sent
from pydantic import ValidationError

import NAME as mine

SETTINGS = mine.Settings(words=["zebra"])


def decide(message: Message) -> Allow | Deny:
    return mine.NAME(message, SETTINGS)


def test_other_words_pass() -> None:
    assert decide(Message("a horse", channel="sms")) == Allow()


@pytest.mark.parametrize("text", ["a zebra", "A ZEBRA", "zebras"])
def test_a_word_is_refused_however_it_is_written(text: str) -> None:
    assert isinstance(decide(Message(text, channel="sms")), Deny)


def test_a_refused_message_is_never_sent() -> None:
    send = RecordingSend()
    safe = Guard(check(name="NAME")(decide), channel="sms").wrap(send)
    with pytest.raises(Denied, match="not to be sent"):
        safe("+12125550173", "a zebra")
    assert_never_sent(send)


@pytest.mark.parametrize("wrong", [{}, {"words": []}, {"words": ["a"], "wrods": ["b"]}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        mine.Settings.model_validate(wrong)
'''

_HOW: Final = """\
In a policy:

  checks:
    NAME: {use: "NAME:NAME", settings: {words: [zebra]}, deadline: 1s, mode: monitor}

For a package that others install, in its pyproject.toml, and then `use: NAME`:

  [project.entry-points."guardrails.controls"]
  NAME = "NAME:NAME"
"""


def write_skeleton(name: str, folder: str | os.PathLike[str]) -> tuple[list[Path], str]:
    """
    Write a control and its tests.

    Args:
        name: Of the control, its module and its function.
        folder: Where; it is made if it is not there.

    Returns:
        The files, and how a policy names the control.

    Raises:
        ConfigError: *name* is none for a module, or a file is there already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name[:64]!r} is no name for a module: lower-case letters, digits and _, such as no_competitors"
        )
    if name in sys.stdlib_module_names or name == "guardrails":
        raise ConfigError(f"{name!r} is the name of a module that is there already; write another one, such as no_{name}")
    place = Path(folder)
    files = {place / f"{name}.py": _CONTROL, place / f"test_{name}.py": _TEST}
    there = [str(path) for path in files if os.path.lexists(path)]
    if there:
        raise ConfigError(f"{', '.join(there)}: there already; nothing was written")
    try:
        place.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text.replace("NAME", name), encoding="utf-8")
    except OSError as error:
        problem = type(error).__name__
    else:
        return list(files), _HOW.replace("NAME", name)
    raise ConfigError(f"{place} cannot be written ({problem})")
