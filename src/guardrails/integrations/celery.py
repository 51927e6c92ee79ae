"""
A guard around publishing Celery tasks: `Celery(task_cls=guarded_task(guard))`.

It stands in `Task.apply_async`, because signals come too late (the message's headers already hold the arguments) and swallow
exceptions. Ids of `guardrails.context` travel in the message's headers, and are in force while the task runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from guardrails.adapters.hosts import host
from guardrails.adapters.ids import IDS, carried_ids
from guardrails.adapters.signatures import named_tasks
from guardrails.core.context import context
from guardrails.core.guard import Guard
from guardrails.core.repeats import repeats
from guardrails.errors import ConfigError, Denied

host("celery", extra="celery", distribution="celery", least=(5, 4), below=(6,))

import celery  # noqa: E402 - said first what to install

__all__ = ["guard_send_task", "guarded_task"]

_HIDDEN: Final = ("link", "link_error", "chain", "chord")  # their tasks' arguments travel inside this message
_FREE: Final = ("key", "id", "cls")
_BUILT_IN: Final = "celery."  # tasks that publish other ones: maps, chunks, what waits for a chord


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _Publication:
    """One call of `apply_async`: everything but the arguments that the guard rewrites; the door looks at it as at any other."""

    task: _GuardedTask
    options: dict[str, Any]

    def send(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super(_GuardedTask, self.task).apply_async(args, kwargs, **self.options)


class _GuardedTask(celery.Task):  # type: ignore[misc]  # celery has no types
    """
    A task whose arguments pass a guard before they are published. Made by `guarded_task`.

    Attributes:
        guard: The guard; set by `guarded_task`.
        guard_options: As in `Guard.wrap` (`text`, `recipient`, ...); False for a task whose arguments are no message.
    """

    abstract = True
    guard: ClassVar[Guard | None] = None
    guard_options: Mapping[str, Any] | bool = True
    _guarded: Any = None

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        headers: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """
        As `celery.Task.apply_async`, through the guard.

        Raises:
            GuardrailsError: It was refused; nothing was published.
            ConfigError: Which argument is the text cannot be told; write `guard_options={"text": ...}` or False.
        """
        headers = {**(headers or {}), **carried_ids("guardrails_")}
        given = {"task_id": task_id, "headers": headers, **options}
        hidden = [options.get(name) for name in _HIDDEN]
        if str(self.name).startswith(_BUILT_IN):
            hidden += [args, kwargs]
        if self.guard is not None and not all(self._is_free(name) for name in named_tasks(hidden)):
            raise Denied(
                "a task that is linked, chained or mapped here carries arguments that the guard does not see; publish it from "
                "inside a task, or say guard_options=False where they are no message",
                control="celery",
                sent=False,
            )
        if self.guard_options is False or self.guard is None or str(self.name).startswith(_BUILT_IN):
            return super().apply_async(args, kwargs, **given)
        publication = _Publication(self, given)
        with self._attempt(publication):
            return self._publish()(publication, *(args or ()), **(kwargs or {}))

    def _is_free(self, name: str) -> bool:
        """Whether a task's arguments are known to be no message."""
        task = self.app.tasks.get(name)
        return name.startswith(_BUILT_IN) or (isinstance(task, _GuardedTask) and task.guard_options is False)

    def _publish(self) -> Any:
        if self._guarded is None:
            guard = self.guard
            assert guard is not None  # noqa: S101 - looked at by the caller
            options = self.guard_options if isinstance(self.guard_options, Mapping) else {}

            def publish(publication: _Publication, /, *args: Any, **kwargs: Any) -> Any:
                return publication.send(args, kwargs)

            known = inspect.signature(self.run)
            # Known to hold no text, and yet looked at by the door: a name that no parameter of the task has.
            first = inspect.Parameter(
                next(name for name in _FREE if name not in known.parameters), inspect.Parameter.POSITIONAL_ONLY
            )
            publish.__signature__ = known.replace(parameters=[first, *known.parameters.values()])  # type: ignore[attr-defined]
            publish.__qualname__ = publish.__name__ = str(self.name)
            type(self)._guarded = staticmethod(guard.wrap(publish, **{"reply": "pass", **options}))  # noqa: SLF001 - our own
        return self._guarded

    def _attempt(self, publication: _Publication) -> AbstractContextManager[None]:
        """Celery's own retry of the task that runs here was charged when it was first published."""
        request, options = self.request, publication.options
        if not request.called_directly and options.get("retries") and options.get("task_id") == request.id:
            return repeats(publication)
        return nullcontext()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task, with the ids of whoever published it."""
        headers = self.request.headers or {}
        ids = {name: headers[f"guardrails_{name}"] for name in IDS if isinstance(headers.get(f"guardrails_{name}"), str)}
        with context(**ids):
            return super().__call__(*args, **kwargs)


def guarded_task(guard: Guard) -> type[Any]:
    """
    A base class of tasks, for `Celery(task_cls=...)` or `@app.task(base=...)`.

    Args:
        guard: Goes around what is published. Each task names its text by convention, or in
            `@app.task(guard_options={"text": ["body"], "recipient": "to"})`; `guard_options=False` for no message.
    """
    return type("GuardedTask", (_GuardedTask,), {"abstract": True, "guard": guard, "__module__": __name__})


def guard_send_task(app: Any, *, others: str = "refuse") -> None:
    """
    Send `app.send_task(name, ...)` through the guarded task of that name; it goes past `apply_async` otherwise.

    Args:
        app: The application; its `send_task` is replaced.
        others: What becomes of names that no guarded task here has: "refuse" or "pass".

    Raises:
        ConfigError: `others` is something else.
    """
    if others not in ("refuse", "pass"):
        raise ConfigError('others must be "refuse" or "pass"')
    sends: Any = app
    plain = sends.send_task

    def send_task(name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if options.get("task_type") is not None:  # apply_async itself, behind the guard
            return plain(name, args, kwargs, **options)
        task = app.tasks.get(name)
        if isinstance(task, _GuardedTask):
            return task.apply_async(args, kwargs, **options)
        if others == "refuse":
            raise Denied("send_task: no guarded task of this name is registered here", control="celery", sent=False)
        return plain(name, args, kwargs, **options)

    sends.send_task = send_task
