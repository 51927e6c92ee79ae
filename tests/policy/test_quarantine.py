"""A policy's quarantine: guardrails that cannot be trusted block their channel or tenant, until an operator lifts that."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from guardrails import Guard, MaskPII, context, from_policy
from guardrails.audit import read_records
from guardrails.cli.app import app
from guardrails.core import companion
from guardrails.errors import Blocked, Denied
from guardrails.keys.operator import new_private_key, public_text
from guardrails.policy import Policy
from guardrails.policy.switches.state import Clocks, State
from guardrails.policy.switches.switch import Switch, new_id, signed
from tests.policy.conftest import Write, problems

TO = "+12125550173"
LEAKY = "write to ann@example.com"
POLICY = """\
version: 1
platform:
  audit: {{folder: audit, durability: os}}
  mask: {{names: "off"}}
  switches:
    file: switches.jsonl
    operators: {{ann: "{ann}", watchdog: "{watchdog}"}}
  quarantine: {{{quarantine}}}
tenants:
  acme: {{}}
examples:
  - {{in: hello, out: hello}}
"""


class Made:
    """A policy with a quarantine, in a folder of its own, and what to do with it."""

    def __init__(self, folder: Path, write: Write, quarantine: str) -> None:
        self.folder = folder
        self.ann = new_private_key(folder / "ann.pem")
        watchdog = new_private_key(folder / "watchdog.pem")
        self.path = write(POLICY.format(ann=self.ann, watchdog=watchdog, quarantine=quarantine))
        self.guard = from_policy(self.path, channel="sms")

        @self.guard
        def provider(to: str, body: str) -> str:
            return to + body

        self.provider = provider

    def send(self, body: str, tenant: str | None = None) -> Any:
        if tenant is None:
            return self.provider(TO, body)
        with context(tenant=tenant):
            return self.provider(TO, body)

    def goes_out(self, body: str) -> bool:
        try:
            return bool(self.send(body))
        except Denied:
            return False

    def switch(self, *arguments: str, operator: str = "ann") -> str:
        key = str(self.folder / f"{operator}.pem")
        named = ["--key", key, "--as", operator] if arguments[0] != "status" else []
        return CliRunner().invoke(app, ["switch", *arguments, *named, "--policy", str(self.path)]).output

    @property
    def on(self) -> list[Switch]:
        board = Policy.at(self.path).switchboard
        assert board is not None
        return [one.switch for one in board.state.on.values()]


@pytest.fixture
def made(tmp_path: Path, write: Write) -> Iterator[Callable[[str], Made]]:
    all_made: list[Made] = []

    def one(quarantine: str) -> Made:
        all_made.append(Made(tmp_path, write, quarantine))
        return all_made[-1]

    yield one
    for each in all_made:
        each.guard.close()


def broken_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MaskPII, "mask", lambda _self, text: (text, []))


def hit(made: Made, times: int, tenant: str | None = None) -> None:
    for _ in range(times):
        with pytest.raises(Blocked, match="was not masked"):
            made.send(LEAKY, tenant)


def eventually(done: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        threading.Event().wait(0.02)


def test_messages_that_only_the_seal_stopped_block_their_channel_until_an_operator_lifts_that(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("seal_hits: 2, canary: false")
    assert one.send("hello")
    broken_mask(monkeypatch)
    hit(one, 1)
    assert one.on == []
    hit(one, 1)
    (block,) = one.on
    assert (block.channel, block.tenant, block.reason) == (
        "sms",
        None,
        "quarantine: the seal alone stopped too many messages",
    )
    with pytest.raises(Denied, match="all sends are blocked") as refused:
        one.send("hello")
    assert refused.value.control == "switches"
    assert "lifted" in one.switch("lift", block.id)
    eventually(lambda: one.goes_out("hello"))  # a file is looked at by the sends themselves
    assert one.on == []


def test_a_tenants_hits_block_the_tenant_and_nobody_else(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("seal_hits: 2, per: tenant, canary: false")
    broken_mask(monkeypatch)
    hit(one, 1, "acme")
    hit(one, 1, "other")
    hit(one, 1, "acme")
    assert [(block.channel, block.tenant) for block in one.on] == [(None, "acme")]
    with pytest.raises(Denied, match="blocked"):
        one.send("hello", "acme")
    assert one.send("hello", "other")
    hit(one, 2, None)  # without a tenant it is the channel
    assert [(block.channel, block.tenant) for block in one.on] == [(None, "acme"), ("sms", None)]


def test_g3_a_tenant_that_is_personal_or_no_id_is_never_named_by_a_block(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = made("seal_hits: 1, per: tenant, canary: false")
    masked = MaskPII.mask
    monkeypatch.setattr(MaskPII, "mask", lambda self, text: masked(self, text) if text != LEAKY else (text, []))
    hit(one, 1, "ann@example.com")
    assert [(block.channel, block.tenant) for block in one.on] == [("sms", None)]
    assert "example.com" not in caplog.text


def test_a_failed_canary_blocks_the_channel_in_which_it_failed(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("seal_hits: 1000")
    assert one.guard.canary_every_seconds == 60.0  # nothing else was said, and there is a quarantine
    one.guard.pace(0.05)
    assert one.send("hello")
    broken_mask(monkeypatch)
    eventually(lambda: bool(one.on))
    (block,) = one.on
    assert (block.channel, block.reason) == ("sms", "quarantine: the canary failed in mask_pii")
    monkeypatch.undo()
    with pytest.raises(Denied, match="blocked"):  # a canary that passes does not lift it
        one.send("hello")


def test_with_an_operator_of_its_own_a_block_goes_to_every_process(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("seal_hits: 1, canary: false, operator: watchdog, key_file: watchdog.pem")
    broken_mask(monkeypatch)
    hit(one, 1)
    eventually((one.folder / "switches.jsonl").exists)
    (line,) = (one.folder / "switches.jsonl").read_text().splitlines()
    assert json.loads(line)["operator"] == "watchdog"
    assert "block-all  channel=sms" in one.switch("status")
    assert "can do nothing but block" in one.switch("lift", one.on[0].id, operator="watchdog")
    assert "lifted" in one.switch("lift", one.on[0].id)
    assert one.switch("status") == "no switch is on\n"


def test_the_key_that_a_sender_holds_makes_nothing_but_blocks() -> None:
    key = Ed25519PrivateKey.generate()
    state = State({"watchdog": key.public_key()}, {"mask_pii": 900.0}, watchman="watchdog")
    bypass = Switch(
        id=new_id(), kind="bypass", operator="watchdog", issued=100.0, until=200.0, control="mask_pii", reason="no"
    )
    block = Switch(id=new_id(), kind="block-all", operator="watchdog", issued=100.0)
    state.read([signed(bypass, key), signed(block, key)], Clocks(110.0, 0.0))
    lift = Switch(id=new_id(), kind="lift", operator="watchdog", issued=120.0, lifts=block.id)
    state.read([signed(bypass, key), signed(block, key), signed(lift, key)], Clocks(120.0, 10.0))
    assert (list(state.on), state.refused) == ([block.id], 2)


def test_a_block_outlives_a_reload_and_stands_in_the_record(
    made: Callable[[str], Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made("seal_hits: 1, canary: false")
    broken_mask(monkeypatch)
    hit(one, 1)
    monkeypatch.undo()
    text = one.path.read_text()
    one.path.write_text(text.replace("seal_hits: 1,", "seal_hits: 9,"))
    assert one.guard.reload()
    with pytest.raises(Denied, match="blocked"):
        one.send("hello")

    def recorded() -> bool:
        return any(record.get("change") == "switches" for record in read_records(one.folder / "audit"))

    eventually(recorded)


def test_canaries_come_as_often_as_the_policy_says_also_after_a_reload(made: Callable[[str], Made]) -> None:
    one = made("canary: false")
    assert one.guard.canary_every_seconds is None
    one.send("hello")
    rounds: list[Guard] = []
    text = one.path.read_text()
    one.path.write_text(text.replace("  mask:", "  canary_every: 100ms\n  mask:"))

    def heard(guard: Guard, _report: Any) -> None:
        rounds.append(guard)

    companion.hear(heard)
    try:
        assert one.guard.reload()
        eventually(lambda: one.guard in rounds)
    finally:
        companion.hear_no_more(heard)


@pytest.mark.parametrize(
    ("platform", "says"),
    [
        ("quarantine: {}", "needs platform.switches"),
        ("quarantine: {operator: x}", "operator and key_file go together"),
        ("quarantine: {operator: anne, key_file: k.pem}", "none of platform.switches.operators; did you mean 'ann'"),
        ("quarantine: {within: 0s}", "is more than nothing"),
        ("canary_every: 10ms", "is at least 50ms"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(platform: str, says: str) -> None:
    ann = public_text(Ed25519PrivateKey.generate())
    switches = (
        "" if platform == "quarantine: {}" else f'\n          switches: {{file: s.jsonl, operators: {{ann: "{ann}"}}}}'
    )
    found = problems(f"""
        version: 1
        platform:
          {platform}{switches}
        """)
    assert any(says in one for one in found), found


def test_a_key_that_is_somebody_elses_is_refused(tmp_path: Path, write: Write) -> None:
    new_private_key(tmp_path / "eve.pem")
    keys = {"ann": new_private_key(tmp_path / "ann.pem"), "watchdog": new_private_key(tmp_path / "watchdog.pem")}
    path = write(POLICY.format(**keys, quarantine="operator: watchdog, key_file: eve.pem"))
    with pytest.raises(Exception, match=r"key_file is not the key of quarantine\.operator"):
        from_policy(path)
