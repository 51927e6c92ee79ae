"""A stream's chain: each line carries the SHA-256 of the one before it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from guardrails.audit.stages import FIRST_PREV

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardrails.audit.fields import Members


class Chain:
    """
    Numbers and links the records of one stream.

    Linking counts as writing: when a linked line could not be written, the chain is given up with its stream.

    Args:
        stream: The stream's id.
        line: Renders members to bytes without a newline.
    """

    __slots__ = ("_line", "accepted", "prev", "seq", "stream")

    def __init__(self, stream: str, line: Callable[[Members], bytes]) -> None:
        self.stream: str = stream
        self.seq: int = 0
        self.prev = FIRST_PREV
        self.accepted: tuple[int, str] = (0, FIRST_PREV)  # records that a sink has taken, and the hash of the last
        self._line = line

    def link(self, members: Members) -> bytes:
        """The next line, with its newline. *members* gets its place in the chain."""
        members["seq"] = f'"seq":{self.seq}'
        members["prev"] = f'"prev":"{self.prev}"'
        line = self._line(members)
        self.prev = sha256(line).hexdigest()
        self.seq += 1
        return line + b"\n"

    def accept(self) -> None:
        """Everything linked so far has been taken."""
        self.accepted = (self.seq, self.prev)
