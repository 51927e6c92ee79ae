"""What is said of a name that is a slip of one that a policy has."""

from __future__ import annotations

from guardrails.errors import ConfigError


def advice(kind: str, name: str, near: str) -> str:
    """What to change; *kind* is "channel" or "tenant"."""
    return f"; did you mean {near!r}? If it is another {kind}, write `{name}: {{}}` under {kind}s:"


def refuse_slip(kind: str, name: str, near: str | None, policy: str) -> None:
    """
    Refuse *name* if it is a slip of *near*.

    Args:
        kind: "channel" or "tenant".
        name: The name.
        near: What was meant; None where *name* is right.
        policy: Its file, for the error.

    Raises:
        ConfigError: It is.
    """
    if near is not None:
        raise ConfigError(f"the {kind} {name!r} is not in the policy {policy}{advice(kind, name, near)}", control="policy")
