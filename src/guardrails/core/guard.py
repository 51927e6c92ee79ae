"""`Guard`: an ordered stack of controls, and everything that can be guarded with it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from guardrails.core import registry
from guardrails.core.binding import Binder, MessageBinding
from guardrails.core.caps import Caps
from guardrails.core.companion import checked_seconds
from guardrails.core.control import Control
from guardrails.core.decoration import Decoration, check_async_only, check_reply, decorate, operation_of
from guardrails.core.edition import Edition, Source, Turn, Versioned
from guardrails.core.health import Health, Pulse, health_of
from guardrails.core.journey import Journey
from guardrails.core.life import Life
from guardrails.core.message import DIRECTIONS, Message
from guardrails.core.plan import Plan
from guardrails.core.presets import preset_options
from guardrails.core.preview import Decision, apreview, preview
from guardrails.core.roles import CONVENTIONAL, Convention
from guardrails.core.shapes import Shape
from guardrails.core.stack import Monitored, Slot, Stack, platform_slots, team_slots
from guardrails.core.travel import run_awaiting, run_blocking
from guardrails.core.wrapping import Live
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")


class Guard:
    """
    Controls in order, the first one outermost. Any subset of controls, even none, is a valid guard.

    Args:
        controls: The platform layer: the audit log first, then limits, then checks that may see raw text, then the
            mask, then the rest. A wrong order is refused with the fix.
        channel: What the messages are: "sms", "email", "llm", ... (`reply="auto"` masks answers on "llm").
        direction: "outbound", or "inbound" to guard handlers: they see masked text.
        strict: Deny calls with values under a text selector that are not text, and texts with letters that the mask control
            says none of its detectors reads.
        production: Refuse set-ups that are only fit for development, such as an auto-created key.
        caps: Bounds on one message.
        owner: Who answers for this guard, such as a team's name; shown by `guardrails inventory`.
        canary_every_seconds: How often `guardrails.canary` runs by itself, from the first send on; None for never.

    Attributes:
        where: `file:line` of the code that made it.

    Raises:
        ConfigError: The controls or options do not fit together.
    """

    def __init__(
        self,
        *controls: Control | Monitored,
        channel: str = "other",
        direction: str = "outbound",
        strict: bool = False,
        production: bool = False,
        caps: Caps | None = None,
        owner: str | None = None,
        canary_every_seconds: float | None = None,
    ) -> None:
        _check_names(channel, direction)
        slots = platform_slots(controls)
        edition = Edition(Stack(slots), caps or Caps(), strict)
        self._setup(None, slots, channel, direction, production, edition, None, owner, canary_every_seconds)

    @classmethod
    def of(
        cls,
        source: Source,
        *,
        channel: str = "other",
        direction: str = "outbound",
        production: bool = False,
        owner: str | None = None,
        canary_every_seconds: float | None = None,
    ) -> Guard:
        """
        A guard whose controls somebody else makes, opens, exchanges and closes, such as a policy.

        Args:
            source: Gives the edition in force.
            channel: As for `Guard`.
            direction: As for `Guard`.
            production: As for `Guard`.
            owner: As for `Guard`.
            canary_every_seconds: As for `Guard`.

        Raises:
            ConfigError: An option is wrong.
        """
        guard = cls.__new__(cls)
        _check_names(channel, direction)
        guard._setup(  # noqa: SLF001 - still unborn
            None, (), channel, direction, production, source.edition(), source, owner, canary_every_seconds
        )
        return guard

    def _setup(
        self,
        parent: Guard | None,
        own: tuple[Slot, ...],
        channel: str,
        direction: str,
        production: bool,  # noqa: FBT001
        edition: Edition,
        source: Source | None,
        owner: str | None,
        canary_every_seconds: float | None,
    ) -> None:
        if owner is not None and (not isinstance(owner, str) or not owner):
            raise ConfigError("owner must be a non-empty str, such as a team's name")
        self.owner: str | None = owner
        self.where: str = registry.called_from()
        self._parent = parent
        self._own = own
        self._channel = channel
        self._direction = direction
        self._production = production
        self._source = source
        self._turn: Turn = parent._turn if parent is not None else Turn() if source is None else source.turn  # noqa: SLF001 - our own kind
        self._edition = Versioned(self._turn, edition)
        self._decorations: weakref.WeakSet[Live] = weakref.WeakSet()
        self._teams: weakref.WeakSet[Guard] = weakref.WeakSet()
        self._life = Life(own, source, checked_seconds(canary_every_seconds))
        if production:
            _require_production(own if source is None else edition.stack.slots)
        registry.add(self)

    @property
    def _stack(self) -> Stack:
        return self._edition.now.stack

    # -- changing ------------------------------------------------------------------------------------------------------

    def exchange(self, edition: Edition, *, by: Source) -> None:
        """
        Put *edition* in the place of the controls that stand here now: in one step, between messages.

        Every decoration and every team guard is compiled anew first, and nothing has changed if one cannot be. Calls
        in flight finish with the controls that they began with. Opening and closing controls is the caller's.

        Args:
            edition: The platform layer; teams keep their own controls.
            by: The source that this guard was made of. Nobody else may: a team holds its guard, not the policy (G9).

        Raises:
            ConfigError: A decoration or a team guard does not fit; says which. Or somebody else asks.
        """
        exchange_all([(self, edition, by)])

    def _staged(self, edition: Edition) -> Iterator[tuple[Versioned[Any], Any]]:
        yield self._edition, edition
        for live in list(self._decorations):
            try:
                plan = live.compiled(edition)
            except ConfigError as error:
                raise ConfigError(f"{live.plan.operation}: {error}", control=error.control, where=error.where) from None
            yield live.plans, plan
        for team in list(self._teams):
            yield from team._staged(edition.below(team._own))  # noqa: SLF001 - our own kind

    def reload(self) -> bool:
        """
        Read the policy again that this guard was made from, and put it in force.

        Returns:
            Whether it had changed.

        Raises:
            ConfigError: It is wrong, one of its examples fails, or a decoration does not fit; the last good one stays.
        """
        if self._parent is not None:
            return self._parent.reload()
        if self._source is None:
            raise ConfigError("this guard was made by code; guards of guardrails.from_policy(...) can be reloaded")
        return self._source.reload()

    @property
    def policy(self) -> str | None:
        """Digest of the policy in force; None for a guard that code made."""
        return self._stack.policy

    @property
    def failures(self) -> dict[str, int]:
        """How often each control failed (raised, overran its deadline, broke its contract), by name; only those that did."""
        counted: dict[str, int] = {}
        edition = self._edition.now
        kinds = (edition.stack, *(edition.choice.kinds() if edition.choice is not None else ()))
        for tally in {id(slot.tally): (slot.name, slot.tally) for stack in kinds for slot in stack.slots}.values():
            name, count = tally
            if count.failures:
                counted[name] = counted.get(name, 0) + count.failures
        return counted

    # -- decorating ----------------------------------------------------------------------------------------------------

    @overload
    def __call__(self, send: Callable[P, T], /) -> Callable[P, T]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        text: str | Sequence[str] | Convention = ...,
        recipient: str | Sequence[str] | Convention | None = ...,
        conversation: str | Convention | None = ...,
        tenant: str | Convention | None = ...,
        message_key: str | None = ...,
        sender: str | Sequence[str] | Convention | None = ...,
        reply: str = ...,
        shape: str | None = ...,
        stream: str = ...,
        bind: Binder | None = ...,
        channel: str | None = ...,
        preset: str | None = ...,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
    def __call__(self, send: Any = None, /, **options: Any) -> Any:
        """
        Guard a send: `@guard`, or `@guard(text=..., recipient=...)`; see `wrap` for the options.

        Raises:
            ConfigError: What is decorated cannot be guarded, or the roles of its parameters cannot be told.
        """
        if send is None:
            return lambda function: self._decorated(function, options)
        return self._decorated(send, options)

    def wrap(
        self,
        send: Callable[P, T],
        /,
        *,
        text: str | Sequence[str] | Convention = CONVENTIONAL,
        recipient: str | Sequence[str] | Convention | None = CONVENTIONAL,
        conversation: str | Convention | None = CONVENTIONAL,
        tenant: str | Convention | None = CONVENTIONAL,
        message_key: str | None = None,
        sender: str | Sequence[str] | Convention | None = CONVENTIONAL,
        reply: str = "auto",
        shape: str | None = None,
        stream: str = "collect",
        bind: Binder | None = None,
        channel: str | None = None,
        preset: str | None = None,
    ) -> Callable[P, T]:
        """
        A guarded twin of *send*, with the same signature and shape.

        Args:
            send: Function, method, partial or object with `__call__`, of any shape.
            text: Selectors of everything that is text, such as `["subject", "vars.*", "body|json.items[*].text"]`.
            recipient: Selector of who receives it; None for nobody.
            conversation: Selector of the conversation's id.
            tenant: Selector of the tenant's id.
            message_key: Selector of a key that repeated attempts share; joins them in the record.
            sender: Selectors of who sends it, and who is answered: addresses there are no leak.
            reply: "auto" masks streams of text, and `str` replies on the channel "llm"; "mask" masks every string of
                the reply; "pass" none.
            shape: "sync" or "async" for a send whose looks deceive.
            stream: For text arguments that are iterators: "collect" reads them first; "cut" masks them while the send
                consumes them.
            bind: A `Binder`, for a send that no selector can describe.
            channel: Another channel than the guard's.
            preset: A library whose send this is, such as "twilio"; options that are given win over what it says.

        Raises:
            ConfigError: An option is wrong, or a role cannot be told.
        """
        return self._decorated(  # type: ignore[no-any-return]  # the wrapper has the send's signature by construction
            send,
            {
                "text": text,
                "recipient": recipient,
                "conversation": conversation,
                "tenant": tenant,
                "message_key": message_key,
                "sender": sender,
                "reply": reply,
                "shape": shape,
                "stream": stream,
                "bind": bind,
                "channel": channel,
                "preset": preset,
            },
        )

    @property
    def masks(self) -> bool:
        """Whether a mask control is in this guard."""
        return self._stack.masker is not None

    def _decorated(self, send: Any, options: dict[str, Any]) -> Any:
        preset = options.pop("preset", None)
        if preset is not None:
            options = preset_options(preset, options, CONVENTIONAL)
        return decorate(
            send,
            Decoration(**options),
            edition=self._edition,
            ready=self._ready,
            channel=self._channel,
            direction=self._direction,
            turn=self._turn,
            decorations=self._decorations,
        )

    # -- messages without a signature ----------------------------------------------------------------------------------

    def run(self, message: Message, send: Callable[[Message], T], /, *, reply: str = "auto") -> T:
        """
        Send *message* through the guard: `send(message)` is called with the sealed message.

        Raises:
            GuardrailsError: It was refused, or failed; `.sent` says whether it went out.
        """
        check_async_only(self._stack, awaits=False)
        journey = Journey(self._message_plan(send, Shape.SYNC, reply), (message,), {})
        del message  # an exception that passes shows this frame's locals
        return run_blocking(journey)  # type: ignore[no-any-return]

    async def arun(self, message: Message, send: Callable[[Message], Awaitable[T]], /, *, reply: str = "auto") -> T:
        """As `run`, for an async send."""
        journey = Journey(self._message_plan(send, Shape.ASYNC, reply), (message,), {})
        del message  # an exception that passes shows this frame's locals
        return await run_awaiting(journey)  # type: ignore[no-any-return]

    def _message_plan(self, send: Callable[..., Any], shape: Shape, reply: str) -> Plan:
        edition = self._edition.now
        stack = edition.stack
        check_reply(reply, stack)
        return Plan(
            send=send,
            shape=shape,
            stack=stack,
            binding=MessageBinding(caps=edition.caps),
            reply=reply,
            operation=operation_of(send),
            channel=self._channel,
            direction=self._direction,
            caps=edition.caps,
            cuts=False,
            required=stack.required(),
            ready=self._ready,
            pulse=self._turn.pulse,
            acting=stack.acting,
            choice=edition.choice,
            strict=edition.strict,
        )

    # -- looking without sending ---------------------------------------------------------------------------------------

    def preview(self, message: str | Message, /, **envelope: Any) -> Decision:
        """
        What would happen to a message. Nothing is sent, recorded or consumed.

        Args:
            message: The text, or a whole message.
            envelope: `recipient=`, `conversation=`, `tenant=`, `actor=`, `sender=`, `channel=`, `direction=` for a text;
                `at=`: as if it were that time (aware), for quiet hours and calendars.

        Returns:
            The decision; controls that lack a role are listed in `.not_evaluated`.

        Raises:
            ConfigError: A control needs an event loop (use `apreview`), or the envelope is wrong.
        """
        return preview(self._message_plan(_nothing, Shape.SYNC, "auto"), message, envelope)

    async def apreview(self, message: str | Message, /, **envelope: Any) -> Decision:
        """As `preview`, with controls that need an event loop."""
        return await apreview(self._message_plan(_nothing, Shape.ASYNC, "auto"), message, envelope)

    # -- layers --------------------------------------------------------------------------------------------------------

    def extend(self, *controls: Control | Monitored, owner: str | None = None) -> Guard:
        """
        A guard with a team layer inside this one. It shares this guard's controls, stores and life.

        Args:
            controls: The team's own controls, in their order; no audit log and no mask.
            owner: Who answers for this layer; the parent's owner unless given.

        Raises:
            ConfigError: A control belongs to the platform layer, or stands here already.
        """
        team = Guard.__new__(Guard)
        with self._turn.lock:
            edition = self._edition.now
            own = team_slots(controls, edition.stack.slots)
            team._setup(  # noqa: SLF001 - our own, still unborn
                self,
                own,
                self._channel,
                self._direction,
                self._production,
                edition.below(own),
                None,
                self.owner if owner is None else owner,
                None,  # the parent's canaries run through this layer too
            )
            self._teams.add(team)
        return team

    # -- how it is doing -----------------------------------------------------------------------------------------------

    @property
    def parent(self) -> Guard | None:
        """The guard that this one extends; None for a platform guard."""
        return self._parent

    @property
    def channel(self) -> str:
        """What its messages are, unless a decoration says otherwise."""
        return self._channel

    @property
    def own(self) -> tuple[Slot, ...]:
        """The controls of this layer, without those of the guard that it extends; of a policy's guard, those in force."""
        return self._own if self._source is None else self._stack.slots

    @property
    def family(self) -> tuple[Guard, ...]:
        """This guard, and every guard that extends it."""
        teams = sorted(registry.copied(self._teams), key=lambda team: team.where)
        return (self, *(one for team in teams for one in team.family))

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The decorations of this guard alone that are still held, in the order of their names."""
        plans = [live.plan for live in registry.copied(self._decorations)]
        return tuple(sorted(plans, key=lambda plan: (plan.operation, plan.channel)))

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The controls of this guard; several where they depend on the message."""
        edition = self._edition.now
        return tuple(dict.fromkeys((edition.stack, *(() if edition.choice is None else edition.choice.kinds()))))

    @property
    def canary_every_seconds(self) -> float | None:
        """How often its canaries run by themselves; None for never."""
        return self._life.canary_every_seconds

    @property
    def pulse(self) -> Pulse:
        """What this guard's tree remembers of its last sends and canaries."""
        return self._turn.pulse

    def health(self) -> Health:
        """
        How the controls of this guard, and of the guards that extend it, are doing, told by their last sends.

        Sends that were refused count as success of the control that refused: it works.
        """
        slots = {id(slot.control): slot for guard in self.family for stack in guard.stacks for slot in stack.slots}
        source = self._root_source()
        policy = None if source is None else source.health()
        return health_of(self.pulse, slots.values(), is_open=not self._life.is_closed, policy=policy)

    def _root_source(self) -> Source | None:
        return self._source if self._parent is None else self._parent._root_source()  # noqa: SLF001 - our own kind

    # -- life ----------------------------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Open files, threads and keys now instead of at the first send."""
        self._ready()
        return self

    def pace(self, seconds: float | None) -> None:
        """Run canaries so often from now on; None for no more."""
        self._life.pace(self, checked_seconds(seconds))

    def close(self) -> None:
        """Flush and close this layer's controls; sends after it are `Unavailable`."""
        self._life.end(self)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Guard({', '.join(slot.name for slot in self._stack.slots)}, channel={self._channel!r})"

    def _ready(self, *, opening: bool = True) -> None:
        if self._parent is not None:
            self._parent._ready(opening=opening)  # noqa: SLF001 - our own kind
        if not self._life.is_open:
            self._life.begin(self, opening=opening)

    def _after_fork(self) -> None:
        self._life.after_fork()
        if self._parent is None:
            self._turn.lock = threading.RLock()
            self._turn.pulse.after_fork()


def _check_names(channel: object, direction: object) -> None:
    if not isinstance(channel, str) or not channel:
        raise ConfigError("channel must be a non-empty str")
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction must be one of {DIRECTIONS}")


def _require_production(slots: Sequence[Slot]) -> None:
    for slot in slots:
        require = getattr(slot.control, "require_production", None)
        if require is not None:
            require()


def exchange_all(changes: Sequence[tuple[Guard, Edition, Source]]) -> None:
    """
    `Guard.exchange` for several guards that turn together.

    Args:
        changes: Each guard, what it will be made of, and the source that it was made of.

    Raises:
        ConfigError: One of them does not fit; nothing has changed.
    """
    for guard, _, by in changes:
        if guard._source is None or by is not guard._source:  # noqa: SLF001 - same module
            raise ConfigError(
                "the controls of a guard are exchanged by the policy that it was made from, and by nobody else"
            )
    if not changes:
        return
    turn = changes[0][0]._turn  # noqa: SLF001
    with turn.lock:
        staged: list[tuple[Versioned[Any], Any]] = []
        for guard, edition, _ in changes:
            if guard._production:  # noqa: SLF001
                _require_production(edition.stack.slots)
            staged += guard._staged(edition)  # noqa: SLF001
        for versioned, value in staged:
            versioned.stage(value)
        turn.number += 1
        for versioned, _ in staged:
            versioned.keep_only_now()


def _nothing(_message: Message) -> None:
    """What a previewed message is never sent to."""


def _after_fork() -> None:
    for guard in registry.guards():
        guard._after_fork()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_after_fork)
