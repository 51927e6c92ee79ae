"""
Controls of one's own, by the name that a policy gives them.

`use:` names an entry point of the group `guardrails.controls`, or `package.module:name`. What is found there may be

- a function `fn(message)` or `fn(message, settings)`, with or without `@check`; the annotation of `settings` is a pydantic model,
- a class with `guard`; one with a `Settings` model is made with its settings,
- an object with `guard`.

Each gets the name, deadline and failure count of its place in the policy.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from guardrails.core.checks import Check
from guardrails.core.control import Control
from guardrails.core.stack import Tally
from guardrails.errors import ConfigError
from guardrails.policy.objects import imported, named
from guardrails.policy.problems import nearest

GROUP: Final = "guardrails.controls"


class SettingsError(ConfigError):
    """
    A control's settings are wrong.

    Attributes:
        problems: Path within the settings, and what is wrong.
    """

    def __init__(self, name: str, problems: list[tuple[tuple[str | int, ...], str]]) -> None:
        self.problems = problems
        said = "; ".join(f"{'.'.join(map(str, at)) or 'settings'}: {text}" for at, text in problems)
        super().__init__(f"{name}: {said}", control="policy")


class Placed:
    """
    A control under the name, deadline and failure count of its place in a policy.

    Attributes:
        name: In errors and records.
        deadline_seconds: Its own time.
        tally: Its failures.
    """

    kind: Final = None

    def __init__(self, control: Control, *, name: str, deadline_seconds: float) -> None:
        if getattr(control, "kind", None) is not None:
            raise ConfigError(
                f"{name}: a control of your own has no kind; audit, limits and mask have sections of their own"
            )
        self.name: str = name
        self.deadline_seconds: float = deadline_seconds
        self.tally: Tally = Tally()
        self.async_only: bool = bool(getattr(control, "async_only", False))
        self.needs: tuple[str, ...] = tuple(getattr(control, "needs", ()))
        self.guard: Callable[..., Any] = control.guard
        self.function: object = getattr(control, "function", control.guard)
        self._control = control

    def open(self) -> None:
        """Open the control, if it wants to be."""
        getattr(self._control, "open", _nothing)()

    def close(self) -> None:
        """Close the control, if it wants to be."""
        getattr(self._control, "close", _nothing)()

    def require_production(self) -> None:
        """Ask the control whether it is fit, if it knows."""
        getattr(self._control, "require_production", _nothing)()

    def __repr__(self) -> str:
        return f"{type(self._control).__name__}(name={self.name!r})"


def control_named(use: str, *, name: str, settings: Mapping[str, Any] | None = None, deadline_seconds: float) -> Control:
    """
    The control that *use* names.

    Raises:
        SettingsError: Its settings are wrong.
        ConfigError: There is none, or it cannot be made.
    """
    found = _found(use)
    try:
        control = _made(found, use, settings)
    except (ConfigError, ValidationError):
        raise
    except Exception as error:  # noqa: BLE001 - somebody's constructor; its text may hold a setting
        problem = type(error).__name__
    else:
        if isinstance(control, Check):
            return _Fresh(control, name=name, deadline_seconds=deadline_seconds)
        return Placed(control, name=name, deadline_seconds=deadline_seconds)
    raise ConfigError(f"{use} cannot be made ({problem})", control="policy")


class _Fresh(Check):
    """A check under another name; the function's own object stays as it is."""

    def __init__(self, check: Check, *, name: str, deadline_seconds: float) -> None:
        super().__init__(check.function, name=name, blocking=check._blocking, deadline_seconds=deadline_seconds)  # noqa: SLF001
        self.tally: Tally = Tally()


def _found(use: str) -> Any:
    if ":" in use:
        return named(use)
    points = {point.name: point for point in entry_points(group=GROUP)}
    if use not in points:
        raise ConfigError(
            f"no installed package has a control {use!r} (entry point group {GROUP}){nearest(use, points)}; "
            "or write package.module:name",
            control="policy",
        )
    return imported(points[use].load, use)


def _made(found: Any, use: str, settings: Mapping[str, Any] | None) -> Control:
    if isinstance(found, type):
        model = getattr(found, "Settings", None)
        if isinstance(model, type) and issubclass(model, BaseModel):
            return found(_settings(model, settings, use))  # type: ignore[no-any-return]  # checked by Placed and core
        _refuse_settings(settings, use)
        return found()  # type: ignore[no-any-return]
    if isinstance(found, Check):
        return Check(_with_settings(found.function, settings, use), blocking=found._blocking)  # noqa: SLF001 - our own
    if callable(getattr(found, "guard", None)):
        _refuse_settings(settings, use)
        return found  # type: ignore[no-any-return]
    if callable(found):
        return Check(_with_settings(found, settings, use))
    raise ConfigError(
        f"{use} is a {type(found).__name__}: give a function, a class or an object with guard", control="policy"
    )


def _with_settings(function: Callable[..., Any], settings: Mapping[str, Any] | None, use: str) -> Any:
    """*function* of a message alone."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2:  # noqa: PLR2004 - (message) or (message, settings)
        _refuse_settings(settings, use)
        return function
    try:
        annotated = typing.get_type_hints(function).get(positional[1].name)
    except Exception:  # noqa: BLE001 - a name that only a type checker knows
        annotated = None
    if not (isinstance(annotated, type) and issubclass(annotated, BaseModel)):
        raise ConfigError(f"{use}: annotate its second parameter with a pydantic model of its settings", control="policy")
    given = _settings(annotated, settings, use)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def ask(message: Any) -> Any:
            return await function(message, given)

        return ask

    @functools.wraps(function)
    def decide(message: Any) -> Any:
        return function(message, given)

    return decide


def _settings(model: type[BaseModel], settings: Mapping[str, Any] | None, use: str) -> BaseModel:
    try:
        return model.model_validate(dict(settings or {}))
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)
        problems = [(one["loc"], _worded(model, dict(one))) for one in told]
    raise SettingsError(use, problems)


def _worded(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    known = {field.alias or name for name, field in model.model_fields.items()}
    return "there is no such setting" + (nearest(str(error["loc"][-1]), known) if len(error["loc"]) == 1 else "")


def _refuse_settings(settings: Mapping[str, Any] | None, use: str) -> None:
    if settings:
        raise SettingsError(use, [((), "it takes none")])


def _nothing() -> None:
    """For controls without open, close or require_production."""
