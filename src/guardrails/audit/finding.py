"""One thing that verification found: a sentence, and where it is so."""

from __future__ import annotations

from typing import Any, Final, Self

VERDICTS: Final = ("integrity", "authenticity", "completeness", "liveness", "semantics")


class Finding(str):
    """
    A sentence that knows its place.

    Args:
        text: For people; without anything that came from a file unescaped.
        verdict: Which of `VERDICTS` does not hold because of it.
        code: Its name, the same for each finding of its kind.
        file: Name of the file.
        stream: Id of the stream.
        seq: Number of the record in its stream.
        line: Number of the line in its file, from 1.
    """

    __slots__ = ("code", "file", "line", "seq", "stream", "verdict")

    verdict: str
    code: str
    file: str | None
    stream: str | None
    seq: int | None
    line: int | None

    def __new__(
        cls,
        text: str,
        *,
        verdict: str,
        code: str,
        file: str | None = None,
        stream: str | None = None,
        seq: int | None = None,
        line: int | None = None,
    ) -> Self:
        """See the class."""
        self = super().__new__(cls, text)
        self.verdict, self.code, self.file, self.stream, self.seq, self.line = verdict, code, file, stream, seq, line
        return self

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in Finding.__slots__} | {"what": str(self)}

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (str(self), {name: getattr(self, name) for name in Finding.__slots__})


def _made(text: str, named: dict[str, Any]) -> Finding:
    return Finding(text, **named)
