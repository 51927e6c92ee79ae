"""
A guarded send with its leaf replaced: everything runs, and nothing is sent.

What a rehearsal exempts from anything is never a message: it is marked on the journey, which only `rehearse` makes, and
`rehearse` puts the leaf that it is given in the place of the send. No argument of a send, no context and no field of a
message can mark one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never

from guardrails.core.binding import MessageBinding
from guardrails.core.context import context
from guardrails.core.journey import Journey
from guardrails.core.message import Message
from guardrails.core.selector_binding import SelectorBinding
from guardrails.core.selectors import Decode, Every, Index, Key, Selector, Step
from guardrails.core.shapes import Shape
from guardrails.core.stack import Slot
from guardrails.core.travel import run_awaiting, run_blocking

if TYPE_CHECKING:
    from guardrails.core.plan import Plan

_PLACEHOLDER: Final = "canary"


@dataclass(slots=True)
class Rehearsed:
    """
    What a rehearsal came to.

    Args:
        arrived: The arguments that the leaf was called with; None when the guard refused.
        reply: What a caller would have got; streams joined. None when the guard refused.
        error: What a caller would have seen.
        send_id: Joins its records.
    """

    arrived: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    reply: Any = None
    error: BaseException | None = None
    send_id: str = ""

    def __repr__(self) -> str:
        return f"Rehearsed(arrived={self.arrived is not None}, error={type(self.error).__name__})"


def rehearse(
    stage: Staged,
    *,
    name: str,
    reply: Sequence[str] = ("",),
    route: Iterable[Slot] | None = None,
    ids: Mapping[str, str] | None = None,
    now: datetime | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> Rehearsed:
    """
    Run one call in a thread of its own, up to a leaf that keeps what it is given.

    Args:
        stage: The call.
        name: Names this rehearsal; what controls count, they count under it.
        reply: What the leaf answers, in pieces for a stream.
        route: The controls that act; None for all.
        ids: `tenant`, `conversation` and `actor` of the context.
        now: What `io.now` says; None for the time.
        meanwhile: Called by the leaf: the send lasts until it returns.
    """
    done = Rehearsed()
    thread = threading.Thread(
        target=Context().run,
        args=(_run, stage, name, _Leaf(done, tuple(reply), meanwhile), route, ids or {}, now),
        name="guardrails-canary",
    )
    thread.start()
    thread.join()
    return done


def _run(
    stage: Staged,
    name: str,
    leaf: _Leaf,
    route: Iterable[Slot] | None,
    ids: Mapping[str, str],
    now: datetime | None,
) -> None:
    plan, done = stage.plan, leaf.done
    args, kwargs = stage.arguments
    journey = Journey(replace(plan, send=leaf.of(plan.shape)), args, kwargs)
    journey.canary = name
    journey.told_now = now
    if route is not None:
        journey.route = tuple(route)
    done.send_id = journey.send_id
    try:
        with context(**ids):
            if plan.shape.awaits:
                with asyncio.Runner() as runner:
                    done.reply = runner.run(_awaited(journey))
            else:
                result = run_blocking(journey)
                done.reply = "".join(map(str, result)) if _streams(plan) else result
    except BaseException as error:  # noqa: BLE001 - it is what the rehearsal came to
        done.error = error


async def _awaited(journey: Journey) -> Any:
    streams = _streams(journey.plan)
    result = await run_awaiting(journey)
    if not streams or isinstance(result, str):
        return result
    return "".join([str(chunk) async for chunk in result])


def _streams(plan: Plan) -> bool:
    return plan.shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR)


class _Leaf:
    """Stands in the place of the send, in each of its shapes."""

    def __init__(self, done: Rehearsed, reply: tuple[str, ...], meanwhile: Callable[[], object] | None) -> None:
        self.done = done
        self._reply = reply
        self._meanwhile = meanwhile

    def of(self, shape: Shape) -> Callable[..., Any]:
        """A send of that shape."""
        match shape:
            case Shape.SYNC:
                return self._arrive
            case Shape.ASYNC:
                return self._awaited
            case Shape.GENERATOR:
                return self._generated
            case Shape.ASYNC_GENERATOR:
                return self._streamed
            case _:
                assert_never(shape)

    def _arrive(self, *args: Any, **kwargs: Any) -> str:
        self.done.arrived = args, kwargs
        if self._meanwhile is not None:
            self._meanwhile()
        return "".join(self._reply)

    async def _awaited(self, *args: Any, **kwargs: Any) -> str:
        return self._arrive(*args, **kwargs)

    def _generated(self, *args: Any, **kwargs: Any) -> Iterator[str]:
        self._arrive(*args, **kwargs)
        yield from self._reply

    async def _streamed(self, *args: Any, **kwargs: Any) -> AsyncIterator[str]:
        self._arrive(*args, **kwargs)
        for piece in self._reply:
            yield piece


# -- arguments --------------------------------------------------------------------------------------------------------


class Staged(NamedTuple):
    """
    A call that can be rehearsed.

    Args:
        plan: The decoration.
        arguments: As a caller would give them.
        is_bound: Whether they go through the send's own binding. A `bind=` of the user's own reads arguments that nobody
            else can make up: for the rehearsal a message is bound in its place.
    """

    plan: Plan
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    is_bound: bool


def staged(plan: Plan, text: str, *, recipient: str, tenant: str, conversation: str) -> Staged:
    """A call of *plan* that says *text* wherever the decoration looks for text."""
    binding = plan.binding
    if isinstance(binding, SelectorBinding):
        roles = binding.roles
        said: list[tuple[Selector, str]] = [
            *((selector, text) for selector in roles.text),
            *((selector, recipient) for selector in roles.recipient),
            *((selector, conversation) for selector in roles.conversation),
            *((selector, tenant) for selector in roles.tenant),
        ]
        arguments = _call(binding, said)
        if plan.choice is not None:  # chosen now, because what is rehearsed may be a part of the way
            plan = plan.chosen(binding.read(*arguments).message)
        return Staged(plan, arguments, is_bound=True)
    message = Message(
        text, channel=plan.channel, direction=plan.direction, recipients=recipient, tenant=tenant, conversation=conversation
    )
    if plan.choice is not None:
        plan = plan.chosen(message)
    if isinstance(binding, MessageBinding):
        return Staged(plan, ((message,), {}), is_bound=True)
    return Staged(replace(plan, binding=MessageBinding(caps=plan.caps)), ((message,), {}), is_bound=False)


def _call(binding: SelectorBinding, said: Sequence[tuple[Selector, str]]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    roots: dict[str, _Tree] = {}
    for selector, value in said:
        roots.setdefault(selector.root, _Tree()).grow(selector.steps, value)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, parameter in binding.signature.parameters.items():
        tree = roots.pop(name, None)
        if parameter.kind is parameter.VAR_KEYWORD:
            kwargs.update({root: left.value() for root, left in roots.items()})
            if tree is not None:
                kwargs.setdefault(_PLACEHOLDER, tree.value())
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if tree is not None:
                value = tree.value()
                args += value if isinstance(value, list) else [value]
        elif tree is None and parameter.default is not parameter.empty and parameter.kind is not parameter.POSITIONAL_ONLY:
            continue
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            args.append(parameter.default if tree is None and parameter.default is not parameter.empty else _value(tree))
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and not kwargs:
            args.append(_value(tree))
        else:
            kwargs[name] = _value(tree)
    return tuple(args), kwargs


def _value(tree: _Tree | None) -> Any:
    return None if tree is None else tree.value()


class _Tree:
    """The least argument in which some selectors find something."""

    def __init__(self) -> None:
        self.leaf: str | None = None
        self.below: dict[Step, _Tree] = {}

    def grow(self, steps: Sequence[Step], value: str) -> None:
        """Make room for one selector."""
        if not steps:
            self.leaf = value
            return
        self.below.setdefault(steps[0], _Tree()).grow(steps[1:], value)

    def value(self) -> Any:
        """The argument."""
        if not self.below:
            return self.leaf
        steps = list(self.below)
        match steps[0]:
            case Decode(codec):
                return _encoded(self.below[steps[0]].value(), codec)
            case Index():
                listed: list[Any] = [_PLACEHOLDER] * (1 + max(step.number for step in steps if isinstance(step, Index)))
                for step, tree in self.below.items():
                    if isinstance(step, Index):
                        listed[step.number] = tree.value()
                return listed
            case Every():
                return [self.below[steps[0]].value()]
            case Key():
                return {step.name: tree.value() for step, tree in self.below.items() if isinstance(step, Key)}


def _encoded(value: Any, codec: str) -> Any:
    import json  # noqa: PLC0415 - only for sends whose text is encoded
    from urllib.parse import urlencode  # noqa: PLC0415

    match codec:
        case "json":
            return json.dumps(value)
        case "form":
            return urlencode(value if isinstance(value, Mapping) else {_PLACEHOLDER: value})
        case "utf8":
            return str(value).encode()
        case _:
            return value
