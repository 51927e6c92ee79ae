"""
The root of a growing Merkle tree, in memory that grows with the logarithm of its leaves; and proofs that a leaf is in one.

Source: RFC 6962, section 2.1: leaves are hashed behind 0x00, nodes behind 0x01. RFC 9162, section 2.1.3.2, for checking proofs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256


class Tree:
    """
    Takes leaves in order.

    >>> Tree().root().hex()[:16]
    'e3b0c44298fc1c14'
    """

    __slots__ = ("_complete", "size")

    def __init__(self) -> None:
        self.size: int = 0  # leaves
        self._complete: list[bytes | None] = []  # roots of the complete subtrees of 1, 2, 4, ... leaves, where there is one

    def add(self, leaf: bytes) -> None:
        """Append one leaf."""
        node = sha256(b"\x00" + leaf).digest()
        complete, level = self._complete, 0
        while level < len(complete) and (left := complete[level]) is not None:
            node = sha256(b"\x01" + left + node).digest()
            complete[level] = None
            level += 1
        if level == len(complete):
            complete.append(node)
        else:
            complete[level] = node
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append many leaves: the same as `add` for each, level by level."""
        nodes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        self.size += len(nodes)
        complete, level = self._complete, 0
        while nodes:
            if level == len(complete):
                complete.append(None)
            left = complete[level]
            if left is not None:
                nodes.insert(0, left)
            complete[level] = nodes.pop() if len(nodes) % 2 else None
            nodes = [sha256(b"\x01" + one + other).digest() for one, other in zip(nodes[::2], nodes[1::2], strict=True)]
            level += 1

    def root(self) -> bytes:
        """The 32 bytes that commit to all leaves so far and their order."""
        node: bytes | None = None
        for subtree in self._complete:
            if subtree is not None:
                node = subtree if node is None else sha256(b"\x01" + subtree + node).digest()
        return sha256(b"").digest() if node is None else node


def inclusion(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """
    The hashes that lead from one leaf to the root.

    Args:
        hashes: Of all leaves (`leaf_hash`), in order.
        index: Which leaf, from 0.

    Source: RFC 6962, section 2.1.1. Iterative: each level is halved, and a node without a neighbour moves up unchanged.
    """
    path: list[bytes] = []
    nodes = list(hashes)
    while len(nodes) > 1:
        neighbour = index ^ 1
        if neighbour < len(nodes):
            path.append(nodes[neighbour])
        odd = [nodes.pop()] if len(nodes) % 2 else []
        nodes = [sha256(b"\x01" + one + other).digest() for one, other in zip(nodes[::2], nodes[1::2], strict=True)] + odd
        index //= 2
    return path


def leaf_hash(leaf: bytes) -> bytes:
    """How a leaf stands in its tree."""
    return sha256(b"\x00" + leaf).digest()


def root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """
    The root that *path* leads to; None if it has not the length that it must have.

    Args:
        leaf: The leaf itself.
        index: Its place, from 0.
        size: How many leaves the tree has.
        path: From `inclusion`.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    node, last = leaf_hash(leaf), size - 1
    for other in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = sha256(b"\x01" + other + node).digest()
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            node = sha256(b"\x01" + node + other).digest()
        index >>= 1
        last >>= 1
    return node if last == 0 else None
