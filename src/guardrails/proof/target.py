"""What a command is about: a policy file, a guard by its name in code, or every guard of a module."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from guardrails.core import registry
from guardrails.core.guard import Guard
from guardrails.errors import ConfigError, GuardrailsError
from guardrails.proof.place import place, relative

_POLICIES: Final = (".yaml", ".yml")


def load(target: str) -> list[Guard]:
    """
    The guards that *target* names, platform guards only: those that extend them belong to them.

    Args:
        target: A policy file (`guardrails.yaml`), `package.module:guard`, or `package.module` for every guard that importing it
            makes. Modules are found from the working directory, as `python -m` would.

    Raises:
        ConfigError: It cannot be loaded, or makes no guard.
    """
    if target.endswith(_POLICIES):
        return [_from_policy(target)]
    module, _, name = target.partition(":")
    before = set(registry.guards())
    loaded = _imported(module)
    if name:
        found: Any = loaded
        for part in name.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, Guard):
            raise ConfigError(f"{target}: {name!r} is not a guard of {module}")
        return [found]
    made = [guard for guard in registry.guards() if guard not in before] or [
        guard for guard in vars(loaded).values() if isinstance(guard, Guard)
    ]
    roots = [guard for guard in made if guard.parent is None]
    if not roots:
        raise ConfigError(f"{target}: importing it makes no guard; name the module that does, or module:guard")
    return roots


def _imported(module: str) -> Any:
    here = os.getcwd()  # noqa: PTH109 - sys.path holds strings
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no part of an answer in JSON
            return importlib.import_module(module)
    except GuardrailsError as error:
        raise ConfigError(f"{module} cannot be imported: {error}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - somebody's module may raise anything, with anything in its text
        problem = f"{type(error).__name__}: {error}" if isinstance(error, ImportError) else type(error).__name__
        problem += _raised_at(error)
    raise ConfigError(f"{module} cannot be imported ({problem})")


def _raised_at(error: BaseException) -> str:
    """Where in somebody's code it came from: the last line of theirs that ran."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {relative(error.filename)}:{error.lineno}"
    here = [one for one in traceback.extract_tb(error.__traceback__) if place(f"{one.filename}:{one.lineno}")]
    outside = [one for one in here if not one.filename.startswith(("<", sys.base_prefix, sys.prefix))]
    return f" at {relative(outside[-1].filename)}:{outside[-1].lineno}" if outside else ""


def _from_policy(path: str) -> Guard:
    try:
        there = Path(path).is_file()
    except OSError:  # such as a name that is too long
        there = False
    if not there:
        raise ConfigError(f"{path}: there is no such file")
    import guardrails  # noqa: PLC0415 - the front door, for the name that policies have there

    from_policy = getattr(guardrails, "from_policy", None)
    if from_policy is None:
        raise ConfigError(f"{path}: this version has no policies in files")
    guard: Guard = from_policy(path)
    guard.where = f"{path}:1"  # nobody's code has made it
    return guard
