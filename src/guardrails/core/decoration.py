"""What `@guard(...)` checks and compiles, once, so that mistakes show at import and not at the first message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from weakref import WeakSet

from guardrails.core.binding import Binder, Binding, CustomBinding
from guardrails.core.caps import Caps
from guardrails.core.edition import Edition, Turn, Versioned
from guardrails.core.health import Pulse
from guardrails.core.plan import Plan
from guardrails.core.profiles import NOTHING, PROFILES
from guardrails.core.roles import CONVENTIONAL, Convention, Roles, roles_of, signature_of
from guardrails.core.selector_binding import SelectorBinding
from guardrails.core.shapes import shape_of
from guardrails.core.stack import Stack
from guardrails.core.wrapping import Live, wrapper_for
from guardrails.errors import ConfigError

REPLIES: Final = ("auto", "mask", "restore", "pass")
STREAMS: Final = ("collect", "cut")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoration:
    """The options of one decoration; `Guard.wrap` explains them."""

    text: str | Sequence[str] | Convention = CONVENTIONAL
    recipient: str | Sequence[str] | Convention | None = CONVENTIONAL
    conversation: str | Convention | None = CONVENTIONAL
    tenant: str | Convention | None = CONVENTIONAL
    message_key: str | None = None
    sender: str | Sequence[str] | Convention | None = CONVENTIONAL
    reply: str = "auto"
    shape: str | None = None
    stream: str = "collect"
    bind: Binder | None = None
    channel: str | None = None


def decorate(
    send: Any,
    options: Decoration,
    *,
    edition: Versioned[Edition],
    ready: Callable[..., None],
    channel: str,
    direction: str,
    turn: Turn,
    decorations: WeakSet[Live],
) -> Any:
    """
    The guarded twin of *send*, which is compiled anew with each edition of its guard.

    Raises:
        ConfigError: It cannot be guarded as asked.
    """
    if isinstance(send, staticmethod | classmethod):
        inner = decorate(
            send.__func__,
            options,
            edition=edition,
            ready=ready,
            channel=channel,
            direction=direction,
            turn=turn,
            decorations=decorations,
        )
        return type(send)(inner)
    if isinstance(send, type):
        raise ConfigError(f"@guard on the class {send.__name__}: decorate its methods that send")
    if not callable(send):
        raise ConfigError(f"@guard goes above a function, not a {type(send).__name__}")

    binder: Any = options.bind
    if isinstance(binder, type):
        options = replace(options, bind=binder())  # once: it may keep something between calls

    def compiled(edition: Edition) -> Plan:
        return _plan(send, options, edition=edition, ready=ready, channel=channel, direction=direction, pulse=turn.pulse)

    with turn.lock:
        plan = compiled(edition.now)
        live = Live(Versioned(turn, plan), compiled)
        decorations.add(live)
    signature = _signature_if_any(send) if options.bind is not None else signature_of(send)
    return wrapper_for(live, signature)


def _plan(
    send: Any,
    options: Decoration,
    *,
    edition: Edition,
    ready: Callable[..., None],
    channel: str,
    direction: str,
    pulse: Pulse,
) -> Plan:
    stack, caps, strict = edition.stack, edition.caps, edition.strict
    if options.stream not in STREAMS:
        raise ConfigError(f"stream must be one of {', '.join(STREAMS)}")
    if options.channel is not None and (not isinstance(options.channel, str) or not options.channel):
        raise ConfigError("channel must be a non-empty str")
    kinds = (stack, *(edition.choice.kinds() if edition.choice is not None else ()))
    for kind in kinds:
        _check_options(options, kind, strict=strict)
    shape = shape_of(send, options.shape)
    for kind in kinds:
        check_async_only(kind, awaits=shape.awaits)
    channel = options.channel or channel
    if edition.choice is not None:
        edition.choice.check_channel(channel)
    required = dict(stack.required())
    is_method = False
    binding: Binding
    if options.bind is not None:
        binding = _custom(options, caps=caps)
    else:
        signature = signature_of(send)
        is_method = next(iter(signature.parameters), None) == "self"
        roles = roles_of(send, signature, _role_options(options), PROFILES.get(channel, NOTHING))
        for kind in kinds:
            needed = dict(kind.required()).get("recipient")
            if needed is not None and not roles.recipient:
                raise ConfigError(
                    f"{needed} needs a recipient, and {operation_of(send)} names none; "
                    f'write @guard(recipient="..."). The parameters are: {", ".join(signature.parameters)}'
                )
        if roles.tenant:
            required.setdefault("tenant", "this guard")
        _check_direct_iterators(options, roles)
        binding = SelectorBinding(signature, roles, channel=channel, direction=direction, caps=caps, strict=strict)
    return Plan(
        send=send,
        shape=shape,
        stack=stack,
        binding=binding,
        reply=options.reply,
        operation=operation_of(send),
        channel=channel,
        direction=direction,
        caps=caps,
        cuts=options.stream == "cut",
        required=tuple(required.items()),
        ready=ready,
        acting=stack.acting,
        pulse=pulse,
        choice=edition.choice,
        strict=strict,
        is_method=is_method,
    )


def _check_options(options: Decoration, stack: Stack, *, strict: bool) -> None:
    check_reply(options.reply, stack)
    if options.stream == "cut" and (stack.mask is None or strict):
        raise ConfigError(
            'stream="cut" needs a mask control, such as MaskPII(), and a guard that is not strict: the text passes while '
            'it is masked, and no other control reads it; use stream="collect"'
        )


def check_reply(reply: str, stack: Stack) -> None:
    """
    Whether *reply* can be obeyed by *stack*.

    Raises:
        ConfigError: It cannot.
    """
    if reply not in REPLIES:
        raise ConfigError(f"reply must be one of {', '.join(REPLIES)}")
    if reply == "mask" and stack.mask is None:
        raise ConfigError('reply="mask" needs a mask control, such as MaskPII(), in the guard')
    if reply == "restore" and not getattr(stack.masker, "restores", False):
        raise ConfigError('reply="restore" needs a mask control with a vault, such as MaskPII(vault=Vault()), in the guard')


def operation_of(send: Any) -> str:
    """`module:qualname` of a send, for records."""
    while hasattr(send, "func") and not hasattr(send, "__qualname__"):
        send = send.func
    named = send if hasattr(send, "__qualname__") else type(send)
    return f"{getattr(named, '__module__', None) or '?'}:{named.__qualname__}"


def check_async_only(stack: Stack, *, awaits: bool) -> None:
    """
    Whether every control can guard such a send.

    Raises:
        ConfigError: One needs an event loop, and the send is sync.
    """
    if awaits:
        return
    for slot in stack.slots:
        if slot.async_only:
            raise ConfigError(f"{slot.name} needs an event loop, and cannot guard a sync send")


def _custom(options: Decoration, *, caps: Caps) -> Binding:
    given = [name for name in _role_options(options) if getattr(options, name) not in (CONVENTIONAL, None)]
    if given:
        raise ConfigError(f"bind= replaces selectors; leave out {', '.join(given)}")
    binder: Any = options.bind
    if not (callable(getattr(binder, "read", None)) and callable(getattr(binder, "write", None))):
        raise ConfigError("bind= takes an object with read(args, kwargs) and write(message, args, kwargs)")
    return CustomBinding(binder, caps=caps)


def _signature_if_any(send: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(send)
    except (ValueError, TypeError):
        return None


def _role_options(options: Decoration) -> dict[str, Any]:
    return {
        "text": options.text,
        "recipient": options.recipient,
        "conversation": options.conversation,
        "tenant": options.tenant,
        "message_key": options.message_key,
        "sender": options.sender,
    }


def _check_direct_iterators(options: Decoration, roles: Roles) -> None:
    if options.stream == "cut" and any(selector.steps for selector in roles.text):
        raise ConfigError('stream="cut" works for text parameters themselves, not for selectors into them')
