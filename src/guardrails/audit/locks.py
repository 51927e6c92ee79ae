"""Advisory locks: which files have a living writer, and who tidies up. They end with the process, however it ends."""

from __future__ import annotations

import sys

if sys.platform == "win32":  # nobody is asked there: a stream that is not closed may have a writer

    def lock(_descriptor: int, /, *, shared: bool = False) -> bool:
        """Whether the lock could be had, without waiting."""
        return not shared

else:
    import fcntl

    def lock(descriptor: int, /, *, shared: bool = False) -> bool:
        """Whether the lock could be had, without waiting."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
