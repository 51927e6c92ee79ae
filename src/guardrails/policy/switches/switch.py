"""
A switch as a signed line, which anybody may carry and nobody but an operator can make.

    {"body": "{...}", "operator": "ann", "signature": "<base64>"}

The signature (Ed25519) is over a fixed prefix and the exact bytes of `body`. The body holds a random id: a switch that is seen
again is the same switch, and one that was lifted or has expired does not come back.

Source: RFC 8032 (Ed25519).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from guardrails.errors import ConfigError

BLOCK_ALL: Final = "block-all"
BYPASS: Final = "bypass"
LIFT: Final = "lift"
KINDS: Final = (BLOCK_ALL, BYPASS, LIFT)
MOST_BYTES: Final = 4_096  # of a line
SKEW_SECONDS: Final = 60.0  # by which an operator's clock may be ahead of ours

_PREFIX: Final = b"platform-guardrails/switch/1\n"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_REASON_CHARACTERS: Final = 200
_SCOPE_CHARACTERS: Final = 256


class Forged(ValueError):
    """A line is no switch, or nobody whose signature counts has signed it; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """
    One switch.

    Args:
        id: 32 hex digits.
        kind: One of `KINDS`.
        operator: Who signed it.
        issued: When, in seconds since 1970.
        until: When it ends by itself; None for a block that has to be lifted.
        control: Which control it bypasses.
        channel: Only on this channel.
        tenant: Only for this tenant.
        reason: Why, for people.
        lifts: The id of the switch that it ends.
    """

    id: str
    kind: str
    operator: str
    issued: float
    until: float | None = None
    control: str | None = None
    channel: str | None = None
    tenant: str | None = None
    reason: str = ""
    lifts: str | None = None

    def covers(self, *, channel: str, tenant: str | None) -> bool:
        """Whether a message is in its scope."""
        return (self.channel is None or self.channel == channel) and (self.tenant is None or self.tenant == tenant)

    def contains(self, other: Switch) -> bool:
        """Whether every message in the scope of *other* is in this one's."""
        return self.channel in (None, other.channel) and self.tenant in (None, other.tenant)

    @property
    def scope(self) -> str:
        """Its scope in words."""
        parts = [f"{name}={value}" for name, value in (("channel", self.channel), ("tenant", self.tenant)) if value]
        return " ".join(parts) or "everything"


def new_id() -> str:
    """A random id."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Whether *text* is a whole id."""
    return _ID.fullmatch(text) is not None


def signed(switch: Switch, key: Any) -> bytes:
    """
    The line of a switch.

    Args:
        switch: The switch.
        key: The operator's private key.
    """
    body = json.dumps({name: value for name, value in asdict(switch).items() if value not in (None, "")}, sort_keys=True)
    signature = base64.b64encode(key.sign(_PREFIX + body.encode("utf-8"))).decode("ascii")
    return json.dumps({"body": body, "operator": switch.operator, "signature": signature}).encode("utf-8")


def verified(line: bytes, operators: Mapping[str, Any]) -> Switch:
    """
    The switch in a line.

    Args:
        line: As `signed` made it.
        operators: Name to public key.

    Raises:
        Forged: It is none, or its signature does not count.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where there are switches

    if len(line) > MOST_BYTES:
        raise Forged("too long")
    try:
        outer = json.loads(line)
        body, operator, signature = outer["body"], outer["operator"], base64.b64decode(outer["signature"], validate=True)
        raw = body.encode("utf-8")
        key = operators.get(operator)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise Forged("not a switch") from None
    if key is None:
        raise Forged("signed by nobody whom the policy names")
    try:
        key.verify(signature, _PREFIX + raw)
    except InvalidSignature:
        raise Forged("the signature does not hold") from None
    try:
        switch = Switch(**json.loads(raw))
    except (ValueError, TypeError, RecursionError):
        raise Forged("not a switch") from None
    problem = fault(switch)
    if problem is None and switch.operator != operator:
        problem = "signed by somebody else than it says"
    if problem is not None:
        raise Forged(problem)
    return switch


def fault(switch: Switch) -> str | None:
    """What is wrong with a switch; None if nothing."""
    texts = (switch.control, switch.channel, switch.tenant, switch.reason, switch.lifts)
    if any(one is not None and not isinstance(one, str) for one in (switch.id, switch.kind, switch.operator, *texts)):
        return "a field has the wrong type"
    if not _ID.fullmatch(switch.id) or switch.kind not in KINDS or not _NAME.fullmatch(switch.operator):
        return "a field has the wrong form"
    if not _is_time(switch.issued) or (switch.until is not None and not _is_time(switch.until)):
        return "a time is none"
    if any(one is not None and not 0 < len(one) <= _SCOPE_CHARACTERS for one in (switch.channel, switch.tenant)):
        return "a scope has the wrong length"
    if len(switch.reason) > _REASON_CHARACTERS or not switch.reason.isprintable():
        return f"the reason has more than {_REASON_CHARACTERS} characters, or one that cannot be shown"
    match switch.kind:
        case "bypass":
            if switch.control is None or not _NAME.fullmatch(switch.control):
                return "a bypass names one control"
            if switch.until is None or switch.until <= switch.issued or not switch.reason:
                return "a bypass has an end and a reason"
        case "lift":
            if switch.lifts is None or not _ID.fullmatch(switch.lifts):
                return "a lift names a switch"
        case _:
            if switch.until is not None and switch.until <= switch.issued:
                return "it ends before it begins"
    return None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11  # noqa: PLR2004 - year 5138


def public_key(text: str) -> Any:
    """
    An operator's public key as a policy names it: base64 of its 32 bytes.

    Raises:
        ConfigError: It is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - heavy

    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        pass
    raise ConfigError("a public key is the base64 that `guardrails keys new operator` prints", control="policy")
