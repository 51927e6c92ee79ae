"""
The little language that names arguments: `param.key.attr`, `[0]`, `[*]`, `.*`, `["a.b"]`, codecs such as `|json`.

    selector := NAME ( step | "|" CODEC )*
    step     := "." NAME | ".*" | "[*]" | "[" INT "]" | '["' TEXT '"]'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from guardrails.errors import ConfigError

CODECS: Final = ("form", "html", "json", "mime", "utf8")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping, or an attribute of an object."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """A place in a list or tuple."""

    number: int


@dataclass(frozen=True, slots=True)
class Every:
    """All values of a container."""


@dataclass(frozen=True, slots=True)
class Decode:
    """What is here is encoded; go on inside."""

    codec: str


Step: TypeAlias = Key | Index | Every | Decode


@dataclass(frozen=True, slots=True)
class Selector:
    """
    One parsed selector.

    Args:
        source: As it was written.
        root: The parameter's name.
        steps: The way from the argument to the text.
    """

    source: str
    root: str
    steps: tuple[Step, ...]


_TOKEN: Final = re.compile(
    r"""(?P<every>\.\*|\[\*\])
      | \.(?P<key>[A-Za-z_]\w*)
      | \[(?P<index>\d{1,6})\]
      | \["(?P<quoted>(?:[^"\\]|\\.){1,256})"\]
      | \|(?P<codec>[A-Za-z0-9_]+)
    """,
    re.VERBOSE | re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


def parse_selector(source: str) -> Selector:
    """
    Read one selector.

    Raises:
        ConfigError: It does not follow the grammar; the message repeats it and points at the place.
    """
    if not isinstance(source, str):
        raise ConfigError(f"a selector must be a str, not {type(source).__name__}")
    root = _NAME.match(source)
    if root is None:
        raise ConfigError(f"selector {source!r} must start with a parameter's name")
    steps: list[Step] = []
    at = root.end()
    while at < len(source):
        token = _TOKEN.match(source, at)
        if token is None:
            raise ConfigError(
                f"selector {source!r}: cannot read {source[at:]!r}; write .name, .*, [0], [*], "
                f'["any key"] or |codec (one of {", ".join(CODECS)})'
            )
        steps.append(_step(source, token))
        at = token.end()
    return Selector(source, root.group(), tuple(steps))


def _step(source: str, token: re.Match[str]) -> Step:
    if token["every"]:
        return Every()
    if token["key"]:
        return Key(token["key"])
    if token["index"]:
        return Index(int(token["index"]))
    if token["quoted"]:
        return Key(re.sub(r"\\(.)", r"\1", token["quoted"]))
    if token["codec"] not in CODECS:
        raise ConfigError(f"selector {source!r}: unknown codec {token['codec']!r}; there are {', '.join(CODECS)}")
    return Decode(token["codec"])
