"""Objects of one's own, by the name that a policy gives them: `package.module:name`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from guardrails.errors import ConfigError
from guardrails.policy.problems import nearest


def named(name: str) -> Any:
    """
    The object that *name* names.

    Raises:
        ConfigError: It is no such name, its module cannot be imported, or has nothing of that name.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ConfigError("write package.module:name", control="policy")
    found = imported(lambda: import_module(module), module)
    for step in attribute.split("."):
        known = [one for one in dir(found) if not one.startswith("_")]
        found = getattr(found, step, None)
        if found is None:
            near = nearest(step, known) if len(known) <= 40 else ""  # noqa: PLR2004 - more is no help
            raise ConfigError(f"{module} has no {attribute}{near}", control="policy")
    return found


def imported(load: Callable[[], Any], what: str) -> Any:
    """
    What *load* gives.

    Raises:
        ConfigError: It raises anything, `SystemExit` too: a module of a policy ends no process that reads it.
    """
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - any module may raise anything
        problem = type(error).__name__ + (f": {error}" if isinstance(error, ImportError) else "")
    raise ConfigError(f"{what} cannot be imported ({problem})", control="policy")


def function_or_text(said: str) -> Any:
    """
    The function that *said* names, with a colon in it; else *said* itself.

    Raises:
        ConfigError: What it names is no function.
    """
    if ":" not in said:
        return said
    found = named(said)
    if not callable(found):
        raise ConfigError(f"{said} is no function", control="policy")
    return found
