"""
Known send functions, called outside every guard, raise or are recorded: `guardrails.tripwire.install(mode="raise")`.

Opt-in, and against mistakes only: it replaces methods of libraries when they are there, or when they are imported. A send that a
guard runs is told by the mark that core sets around each real send, in the same thread or task.
"""

from __future__ import annotations

import functools
import importlib.abc
import inspect
import logging
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

from guardrails.core.nesting import sending
from guardrails.core.registry import called_from
from guardrails.errors import ConfigError, Denied

MODES: Final = ("raise", "record")
MOST_TRIPPED: Final = 1_000
_log: Final = logging.getLogger("guardrails")

# Where messages really leave: what adapters of ours and SDKs call last. (Clients of models are guarded below their transport,
# where no mark of ours is set; for them there is `guardrails sends`.)
TARGETS: Final = (
    "smtplib:SMTP.sendmail",
    "aiosmtplib:SMTP.sendmail",
    "twilio.http.http_client:TwilioHttpClient.request",
    "twilio.http.async_http_client:AsyncTwilioHttpClient.request",
    "slack_sdk.web.client:WebClient.chat_postMessage",
    "slack_sdk.web.async_client:AsyncWebClient.chat_postMessage",
    "telegram:Bot.send_message",
    "sendgrid:SendGridAPIClient.send",
    "firebase_admin.messaging:send",
)


@dataclass(frozen=True, slots=True)
class Tripped:
    """
    A send outside every guard.

    Args:
        send: What was called, such as "smtplib:SMTP.sendmail".
        where: `file:line` of the caller.
        count: How often.
    """

    send: str
    where: str
    count: int


class _Wires:
    """What is installed in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.mode = ""
        # Target to (owner, name, what was there, whether it was the owner's own and not inherited).
        self.originals: dict[str, tuple[Any, str, Any, bool]] = {}
        self.waiting: dict[str, list[str]] = {}  # module to its targets
        self.tripped: dict[tuple[str, str], int] = {}


_wires: Final = _Wires()


def install(mode: str = "raise", *, own: Sequence[str] = ()) -> None:
    """
    Watch from now on.

    Args:
        mode: "raise" refuses the call (`Denied`, and nothing is sent); "record" logs it once per place, lets it pass and counts.
        own: Sends of your own, as `"package.module:function"` or `"package.module:Class.method"`. A function that was imported
            by name before keeps being called unwatched.

    Raises:
        ConfigError: The mode or a name is wrong.
    """
    if mode not in MODES:
        raise ConfigError(f"tripwire.install(mode={mode!r}): the modes are {', '.join(MODES)}")
    for target in own:
        module, colon, name = target.partition(":")
        if not (module and colon and name):
            raise ConfigError(f'tripwire.install(own=[{target!r}]): write "package.module:function"')
    with _wires.lock:
        _wires.mode = mode
        for target in (*TARGETS, *own):
            module = target.partition(":")[0]
            if module in sys.modules:
                _wire(sys.modules[module], target)
            else:
                _wires.waiting.setdefault(module, []).append(target)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """Put everything back; what tripped stays listed."""
    with _wires.lock:
        for owner, name, original, own in reversed(_wires.originals.values()):
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
        _wires.originals.clear()
        _wires.waiting.clear()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


def tripped() -> list[Tripped]:
    """Sends outside every guard, by place; the first 1,000 places."""
    with _wires.lock:
        return [Tripped(send, where, count) for (send, where), count in sorted(_wires.tripped.items())]


def forget() -> None:
    """Empty the list."""
    with _wires.lock:
        _wires.tripped.clear()


def _wire(module: ModuleType, target: str) -> None:
    if target in _wires.originals:
        return
    *path, name = target.partition(":")[2].split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    original = inspect.getattr_static(owner, name, None) if owner is not None else None
    if original is None or not callable(getattr(owner, name)):
        _log.warning("guardrails: the tripwire does not find %s", target)
        return
    _wires.originals[target] = (owner, name, original, name in vars(owner))
    setattr(owner, name, _watched(original, target))


def _watched(original: Any, target: str) -> Any:
    """The send, which asks first; of a coroutine function, another one."""
    if isinstance(original, staticmethod | classmethod):
        return type(original)(_watched(original.__func__, target))
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def asked_async(*args: Any, **kwargs: Any) -> Any:
            _ask(target)
            return await original(*args, **kwargs)

        return asked_async

    @functools.wraps(original)
    def asked(*args: Any, **kwargs: Any) -> Any:
        _ask(target)
        return original(*args, **kwargs)

    return asked


def _ask(target: str) -> None:
    if sending.get() is not None:
        return
    where = called_from()
    with _wires.lock:
        first = (target, where) not in _wires.tripped
        if not first or len(_wires.tripped) < MOST_TRIPPED:
            _wires.tripped[target, where] = _wires.tripped.get((target, where), 0) + 1
    if first:
        _log.error("guardrails: %s was called outside every guard, at %s", target, where)
    if _wires.mode == "raise":
        raise Denied(f"{target} was called outside every guard", control="tripwire", where=where)


class _Finder(importlib.abc.MetaPathFinder):
    """Wires a library when it is imported."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in _wires.waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """The library's own loader, and the wires after it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the library's own."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """As the library's own; then it is wired."""
        self._loader.exec_module(module)
        with _wires.lock:
            for target in _wires.waiting.pop(module.__name__, []):
                _wire(module, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder: Final = _Finder()
