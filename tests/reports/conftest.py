"""A log with one of everything: sent, masked, refused, limited, undecided, on trial, failed, timed out, killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guardrails import AuditLog, Deny, Guard, Limit, MaskPII, RateLimit, Rewrite, check, context, monitor
from guardrails.errors import GuardrailsError, Unavailable
from guardrails.keys import Keys

ANN, BOB = "+12125550173", "+12125550174"
KEYS = Keys(b"k" * 32)


@check
def house_rules(message: Any) -> Deny | Rewrite | None:
    match message.text:
        case "refused":
            return Deny("not like this")
        case "undecided":
            raise Unavailable("no store")
        case "polite":
            return Rewrite("Dear customer")
        case _:
            return None


@check
def on_trial(message: Any) -> Deny | None:
    return Deny("too loud") if message.text == "loud" else None


def deliver(to: str, body: str, key: str = "") -> dict[str, str]:
    """A provider that gives each message an id."""
    if body == "timeout":
        raise TimeoutError
    if body == "fails":
        raise OSError(5, "provider")
    return {"sid": f"SM{key or body}", "to": to}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everything") / "log"
    log = AuditLog(folder, keys=KEYS, durability="os")
    limits = RateLimit(Limit("9/hour", per="recipient"), keys=KEYS)
    with Guard(log, limits, MaskPII(names="off"), channel="sms").extend(house_rules, monitor(on_trial)) as guard:
        send = guard(text="body", recipient="to", message_key="key")(deliver)
        with context(tenant="shop", conversation="c-1"):
            texts = ("plain", "write to ann@example.com", "refused", "undecided", "polite", "loud", "timeout", "fails")
            for text in (*texts, *["flood"] * 8):
                try:
                    send(ANN, text, key=text if text == "plain" else "")
                except (GuardrailsError, TimeoutError, OSError):
                    continue
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the key and the reviews lie."""
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GUARDRAILS_KEY", "6b" * 32)  # the key of the log
    return tmp_path / "home"
