"""
The root of a growing Merkle tree, in memory that grows with the logarithm of its leaves.

Source: RFC 6962, section 2.1: leaves are hashed behind 0x00, nodes behind 0x01.
"""

from __future__ import annotations

from hashlib import sha256


class Tree:
    """
    Takes leaves in order.

    >>> Tree().root().hex()[:16]
    'e3b0c44298fc1c14'
    """

    __slots__ = ("_full", "size")

    def __init__(self) -> None:
        self.size: int = 0  # leaves
        self._full: list[bytes] = []  # roots of the complete subtrees, largest first: one for each bit of `size`

    def add(self, leaf: bytes) -> None:
        """Append one leaf."""
        node = sha256(b"\x00" + leaf).digest()
        below = self.size
        while below & 1:
            node = sha256(b"\x01" + self._full.pop() + node).digest()
            below >>= 1
        self._full.append(node)
        self.size += 1

    def root(self) -> bytes:
        """The 32 bytes that commit to all leaves so far and their order."""
        if not self._full:
            return sha256(b"").digest()
        *left, node = self._full
        for subtree in reversed(left):
            node = sha256(b"\x01" + subtree + node).digest()
        return node
