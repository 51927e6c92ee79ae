"""
What happens to things when their process forks.

Some stand still, so that no child sees half an operation; some have something to do in the child alone.
A SQLite file has to be closed meanwhile: a child that was forked with an open one takes the locks that its parent held for its
own, so that it holds none, and whoever closes the file last throws away what the child has written.
Source: https://www.sqlite.org/howtocorrupt.html §2.6 ("Carrying an open database connection across a fork").
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Inherited(Protocol):
    """What a child has from its parent."""

    def after_fork_in_child(self) -> None:
        """Go on, in a process without the other threads."""


class Forking(Inherited, Protocol):
    """What stands still."""

    def before_fork(self) -> None:
        """Wait until nobody is in the middle of anything, and let nobody begin."""

    def after_fork_in_parent(self) -> None:
        """Go on."""


_standing: Final[weakref.WeakSet[Forking]] = weakref.WeakSet()
_inherited: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()
_stopped: Final[list[Forking]] = []  # those that the forking thread holds


def watch(one: Forking) -> None:
    """Let it stand still at every fork, for as long as it lives."""
    _standing.add(one)


def watch_in_child(one: Inherited) -> None:
    """Tell it in every child, for as long as it lives; nothing stands still for it."""
    _inherited.add(one)


def _before() -> None:
    for one in list(_standing):
        one.before_fork()
        _stopped.append(one)


def _in_parent() -> None:
    while _stopped:
        _stopped.pop().after_fork_in_parent()


def _in_child() -> None:
    while _stopped:
        _stopped.pop().after_fork_in_child()
    for one in list(_inherited):
        one.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
