"""
Reloads a policy when its file changes, or when the process is told to by SIGHUP.

What is wrong with a new version has been said in log and audit by the policy itself; here it only must not end the watch.
The folder is watched and not the file: editors and deployments put another file in its place.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ConfigError, GuardrailsError

if TYPE_CHECKING:
    from types import FrameType

    from guardrails.policy.live import Policy

_QUIET_MS: Final = 50  # without a further change, before a file is read: a deployment writes in several steps
_ASKED_MS: Final = 5_000
_log: Final = logging.getLogger("guardrails.policy")


class Watch:
    """
    Watches the file of a policy in a thread.

    Args:
        policy: Whose file.

    Raises:
        ConfigError: The extra `watch` is not installed.
    """

    def __init__(self, policy: Policy) -> None:
        try:
            import watchfiles  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigError(
                'watching a policy needs the extra "watch": pip install "platform-guardrails[watch]"', control="policy"
            ) from None
        self._watch: Callable[..., Any] = watchfiles.watch
        self._policy = weakref.ref(policy)
        self._folder = policy.path.parent
        self._name = policy.path.name
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.start()
        _watches.add(self)

    def start(self) -> None:
        """Begin, in this process."""
        self._thread = threading.Thread(target=self._run, name="guardrails-policy-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def restart_after_fork(self) -> None:
        """The child has none of its parent's threads."""
        if not self._stop.is_set():
            self._stop = threading.Event()
            self.start()

    def _run(self) -> None:
        stop, name = self._stop, self._name
        # What changed between reading the file and watching it.
        self._reload()
        for _ in self._watch(
            self._folder,
            # Names that begin with two dots: how Kubernetes puts another version of a mounted folder in place.
            watch_filter=lambda _, path: os.path.basename(path).startswith((name, "..")),  # noqa: PTH119 - a str
            debounce=1_600,
            step=_QUIET_MS,
            stop_event=stop,
            rust_timeout=_ASKED_MS,
            yield_on_timeout=True,  # a change that the system did not report is found now
            recursive=False,
            raise_interrupt=False,
        ):
            if not self._reload():
                return

    def _reload(self) -> bool:
        """Read it again; whether there still is a policy."""
        policy = self._policy()
        if policy is None or self._stop.is_set():
            return False
        reload_quietly(policy)
        return True


def reload_quietly(policy: Policy) -> None:
    """Reload; what is wrong has been said."""
    try:
        policy.reload()
    except GuardrailsError:
        return
    except Exception as error:  # noqa: BLE001 - the last good policy stays, and the watch goes on
        _log.error("reloading the policy failed with %s", type(error).__name__)


def reload_on_sighup(policy: Policy) -> None:
    """
    Reload when the process gets SIGHUP; what handled it before is still called.

    Raises:
        ConfigError: This is not the main thread, or the system has no SIGHUP.
    """
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        raise ConfigError("on_sighup=True works in the main thread of systems that have SIGHUP", control="policy")
    before = signal.getsignal(signal.SIGHUP)
    told = weakref.ref(policy)

    def handle(number: int, frame: FrameType | None) -> None:
        one = told()
        if one is not None:  # in a thread: a handler interrupts anything, also a reload
            threading.Thread(target=reload_quietly, args=(one,), name="guardrails-policy-sighup", daemon=True).start()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGHUP, handle)


_watches: Final[weakref.WeakSet[Watch]] = weakref.WeakSet()


def _after_fork() -> None:
    for watch in list(_watches):
        watch.restart_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
