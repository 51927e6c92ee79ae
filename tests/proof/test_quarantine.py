"""A channel whose guardrails cannot be trusted is stopped, until they can be again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from guardrails import Call, ConfigError, Denied, Guard, MaskPII, canary
from guardrails.proof.canary import CanaryCheck, CanaryReport
from guardrails.proof.quarantine import Quarantine


def provider(to: str, body: str) -> str:
    return to + body


def report(*failed: str) -> CanaryReport:
    checks = tuple(CanaryCheck(control=name, layer="platform", send="s", tried="mask", result="failed") for name in failed)
    return CanaryReport(at=datetime.now(UTC), seconds=0.1, name="canary-1", checks=checks)


@pytest.fixture
def quarantine() -> Any:
    one = Quarantine(seal_hits=2)
    yield one
    one.close()


def test_a_failed_canary_stops_the_channels_of_its_guard_until_one_passes(quarantine: Quarantine) -> None:
    guard = Guard(quarantine, MaskPII(names="off"), channel="sms")
    other = Guard(MaskPII(names="off"), channel="email")
    send = guard(provider)
    send("+12125550173", "hello")
    quarantine.heard(other, report("mask_pii"))
    assert send("+12125550173", "hello")
    quarantine.heard(guard, report("mask_pii"))
    with pytest.raises(Denied, match="in quarantine: the canary failed in mask_pii"):
        send("+12125550173", "hello")
    assert not guard.health().well
    assert canary(guard).passed  # rehearsals pass: they are how it is lifted
    quarantine.heard(guard, report())
    assert send("+12125550173", "hello")
    assert guard.health().controls[0].facts == {"stopped": 0}


class Leaky:
    """A mask that lets everything pass: only the seal's own detector stands behind it."""

    kind = "mask"
    name = "leaky"

    def mask(self, text: str, /) -> tuple[str, list[Any]]:
        return text, []

    def filter(self) -> Any:
        return MaskPII(names="off").filter()

    async def guard(self, call: Call, forward: Any, io: Any, /) -> object:
        return await forward(await call.masked(self, io))


def test_messages_that_only_the_seal_stopped_stop_the_channel(quarantine: Quarantine) -> None:
    guard = Guard(quarantine, Leaky(), channel="sms")
    send = guard(provider)
    send("+12125550173", "hello")
    for _ in range(2):
        with pytest.raises(Denied):
            send("+12125550173", "write to ann@example.com")
    with pytest.raises(Denied, match="in quarantine: the seal stopped 2 messages"):
        send("+12125550173", "hello")
    quarantine.lift("sms")
    assert send("+12125550173", "hello")


def test_what_an_operator_refuses_is_no_reason(quarantine: Quarantine) -> None:
    guard = Guard(quarantine, MaskPII(names="off", operators={"EMAIL_ADDRESS": "block"}), channel="sms")
    send = guard(provider)
    for _ in range(4):
        with pytest.raises(Denied):
            send("+12125550173", "write to ann@example.com")
    assert quarantine.stopped == {}


@pytest.mark.parametrize("given", [{"seal_hits": 0}, {"seal_hits": True}, {"window_seconds": 0}, {"window_seconds": "60"}])
def test_wrong_arguments_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Quarantine"):
        Quarantine(**given)
