"""`guardrails keys`, `switch`, `subject` and `new-control`, as somebody uses them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails import from_policy
from guardrails.audit.lookup import Lookup
from guardrails.cli.app import app
from guardrails.errors import ConfigError, Denied
from guardrails.keys import Keys
from guardrails.keys.operator import private_key
from guardrails.keys.several import MOST, ids_of, keys_in, keys_of, rotate
from guardrails.policy import Policy
from guardrails.testing import RecordingSend
from tests.policy.conftest import Write

TO, ANN = "+12125550173", "ann@example.com"


def run(*arguments: object, text: str = "") -> Any:
    return CliRunner().invoke(app, [*map(str, arguments)], input=text)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)


# -- keys ------------------------------------------------------------------------------------------------------------------


def test_a_new_master_key_is_in_a_file_that_only_its_owner_reads_and_nowhere_else(tmp_path: Path) -> None:
    ran = run("keys", "new", "master", "--out", tmp_path / "key")
    assert (ran.exit_code, ran.output) == (0, "")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert len(keys_in(tmp_path / "key")[0]) == 32
    assert run("keys", "new", "master", "--out", tmp_path / "key").exit_code == 2


def test_a_rotated_key_still_reads_what_older_ones_made(tmp_path: Path) -> None:
    file = tmp_path / "key"
    run("keys", "new", "master", "--out", file)
    label = Keys(keys_in(file)).digester("audit/recipient").label("x")
    before = file.read_text("ascii").strip()
    ran = run("keys", "rotate", file)
    assert ran.exit_code == 0, ran.output
    keys = Keys(keys_in(file))
    assert label in keys.digester("audit/recipient").all_labels("x")
    assert keys.digester("audit/recipient").label("x") != label
    assert before not in ran.output
    assert file.read_text("ascii").split()[1] == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("keys", "rotate", file, "--keep", 1).exit_code == 0
    assert len(keys_in(file)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_list_shows_ids_and_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "key"
    run("keys", "new", "master", "--out", file)
    run("keys", "rotate", file)
    ran = run("keys", "list", file)
    assert [line.split()[0] for line in ran.output.splitlines()] == ["audit/recipient", "newest", "older"]
    for key_id in ids_of(Keys(keys_in(file)), "audit/recipient"):
        assert key_id in ran.output
    assert all(secret not in ran.output for secret in file.read_text("ascii").split())
    assert run("keys", "list").exit_code == 0


def test_a_policy_reads_a_file_of_several_keys(write: Write, tmp_path: Path) -> None:
    run("keys", "new", "master", "--out", tmp_path / "key")
    run("keys", "rotate", tmp_path / "key")
    path = write("version: 1\nplatform: {keys: {master: [{file: key}]}, audit: {folder: audit}}\n")
    guard = from_policy(path)
    guard.wrap(RecordingSend())(TO, "hi")
    guard.close()
    keys = Policy.at(path).version.controls.keys()
    assert keys is not None
    assert ids_of(keys, "ratelimit") == ids_of(Keys(keys_in(tmp_path / "key")), "ratelimit")


def test_the_command_exports_to_a_file_or_to_the_terminal(tmp_path: Path) -> None:
    run("keys", "new", "master", "--out", tmp_path / "key")
    ran = run("keys", "export", "--purpose", "audit-lookup", "--tenant", "acme", "--keys", tmp_path / "key")
    assert json.loads(ran.output)["tenant"] == "acme"
    ran = run("keys", "export", "--purpose", "audit-lookup", "--keys", tmp_path / "key", "--out", tmp_path / "out")
    assert (ran.exit_code, ran.output) == (0, "")
    keys = Keys(keys_in(tmp_path / "key"))
    assert Lookup.read(tmp_path / "out").labels("recipient", TO) == Lookup.of(keys, None).labels("recipient", TO)
    assert run("keys", "export", "--purpose", "everything").exit_code == 2


def test_files_that_hold_no_keys_are_refused_without_showing_them(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text in ("", "hunter2-hunter2", "\n".join(["42" * 32] * (MOST + 1))):
        file.write_text(text, encoding="ascii")
        with pytest.raises(ConfigError) as caught:
            keys_in(file)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        keys_in(tmp_path / "none")
    file.write_text("\n".join(["42" * 32] * MOST), encoding="ascii")
    with pytest.raises(ConfigError, match="more than"):
        rotate(file)
    assert len(keys_of(file.read_text("ascii"))) == MOST


def test_what_is_no_private_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("no key", encoding="ascii")
    with pytest.raises(ConfigError, match="no unencrypted Ed25519 key"):
        private_key(tmp_path / "pem")
    with pytest.raises(ConfigError, match="cannot be read"):
        private_key(tmp_path / "none")


def test_kinds_and_names_of_new_keys_are_checked(tmp_path: Path) -> None:
    assert run("keys", "new", "secret", "--out", tmp_path / "a").exit_code == 2
    assert run("keys", "new", "signing", "--out", tmp_path / "b").exit_code == 2
    assert run("keys", "new", "master", "--out", tmp_path / "c", "--name", "x").exit_code == 2
    ran = run("keys", "new", "signing", "--out", tmp_path / "d", "--name", "audit.example")
    assert ran.output.startswith("audit.example+")


# -- switches --------------------------------------------------------------------------------------------------------------

POLICY = """\
    version: 1
    platform:
      keys: {master: [{file: key}]}
      audit: {folder: audit, durability: os}
      stores:
        suppression: {url: "sqlite:///opt-outs.sqlite"}
        vault: {url: "sqlite:///vault.sqlite"}
      suppression: {}
      limits: {person: {rate: 1/minute, per: recipient}}
      mask: {names: off, operators: {DEFAULT: pseudonym}}
      switches: {file: switches.jsonl, operators: {ann: PUBLIC}}
      bypassable: {rate_limit: {longest: 15m}}
    """


@pytest.fixture
def policy(write: Write, tmp_path: Path) -> Path:
    run("keys", "new", "master", "--out", tmp_path / "key")
    public = run("keys", "new", "operator", "--out", tmp_path / "ann.pem").output.strip()
    path = write(POLICY.replace("PUBLIC", public))
    suppression = Policy.at(path).suppression
    assert suppression is not None
    suppression.create()
    return path


def as_ann(policy: Path) -> list[object]:
    return ["--policy", policy, "--key", policy.parent / "ann.pem", "--as", "ann"]


def test_an_operator_blocks_bypasses_looks_and_lifts(policy: Path) -> None:
    send = from_policy(policy).wrap(RecordingSend())
    assert (run("switch", "status", "--policy", policy).exit_code, send(TO, "hi")) == (0, "sent")
    ran = run(
        "switch",
        "bypass",
        "rate_limit",
        "--scope",
        "channel=other",
        "--for",
        "15m",
        "--reason",
        "store is slow",
        *as_ann(policy),
    )
    assert ran.exit_code == 0, ran.output
    Policy.at(policy).switchboard._next = 0.0  # type: ignore[union-attr]
    send(TO, "hi again")
    ran = run("switch", "block-all", "--scope", "everything", "--reason", "incident", *as_ann(policy))
    assert ran.exit_code == 0, ran.output
    blocked = ran.output.split()[0]
    Policy.at(policy).switchboard._next = 0.0  # type: ignore[union-attr]
    with pytest.raises(Denied, match="blocked"):
        send(TO, "hi")
    shown = run("switch", "status", "--policy", policy)
    assert shown.exit_code == 1
    assert "bypass rate_limit  channel=other  until 2" in shown.output
    assert f"{blocked}  block-all  everything  until it is lifted  ann: incident" in shown.output
    assert run("switch", "lift", blocked[:8], *as_ann(policy)).exit_code == 0
    Policy.at(policy).switchboard._next = 0.0  # type: ignore[union-attr]
    send(TO, "hi")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["bypass", "rate_limt", "--scope", "everything", "--for", "5m", "--reason", "x"], "did you mean 'rate_limit'?"),
        (["bypass", "rate_limit", "--scope", "everything", "--for", "16m", "--reason", "x"], "for at most 15m"),
        (["bypass", "rate_limit", "--scope", "everything", "--for", "5", "--reason", "x"], "with its unit"),
        (["bypass", "rate_limit", "--scope", "everything", "--for", "5m", "--reason", ""], "would not count"),
        (["block-all", "--scope", "planet=earth", "--reason", "x"], "--scope is everything"),
        (["block-all", "--scope", "everything", "--scope", "channel=sms", "--reason", "x"], "stands alone"),
        (["lift", "abc"], "0 switches"),
    ],
)
def test_a_switch_that_would_not_count_is_not_written(policy: Path, arguments: list[str], why: str) -> None:
    ran = run("switch", *arguments, *as_ann(policy))
    assert (ran.exit_code, why in ran.output) == (2, True), ran.output
    assert not (policy.parent / "switches.jsonl").exists()


def test_a_key_of_somebody_else_signs_nothing_that_counts(policy: Path, tmp_path: Path) -> None:
    run("keys", "new", "operator", "--out", tmp_path / "eve.pem")
    ran = run(
        "switch", "block-all", "--scope", "everything", "--reason", "x",
        "--policy", policy, "--key", tmp_path / "eve.pem", "--as", "ann",
    )  # fmt: skip
    assert ran.exit_code == 2
    assert "signature" in ran.output


def test_a_policy_without_switches_says_so(write: Write, policy: Path) -> None:
    bare = write("version: 1\nplatform: {}\n", "bare.yaml")
    assert "no platform.switches" in run("switch", "status", "--policy", bare).output


# -- a control to start from -----------------------------------------------------------------------------------------------


def test_the_skeleton_of_a_control_passes_its_own_tests_and_works_in_a_policy(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    ran = run("new-control", "no_rivals", "--dir", folder)
    assert ran.exit_code == 0, ran.output
    assert 'use: "no_rivals:no_rivals"' in ran.output
    tried = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", folder],
        capture_output=True, text=True, cwd=folder, check=False, timeout=60,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr
    monkeypatch.syspath_prepend(str(folder))
    path = write(
        "version: 1\nplatform:\n  checks:\n    no_rivals: {use: 'no_rivals:no_rivals', settings: {words: [zebra]}}\n"
        "examples: [{in: A ZEBRA, denied_by: no_rivals}, {in: a horse, out: a horse}]\n"
    )
    from_policy(path)


def test_the_skeleton_of_a_control_is_written_as_ruff_writes(tmp_path: Path) -> None:
    pytest.importorskip("ruff", reason="tested from the source: ruff is a tool of development")
    assert run("new-control", "no_rivals", "--dir", tmp_path).exit_code == 0
    for tool in (["check"], ["format", "--check"]):
        found = subprocess.run(
            [sys.executable, "-m", "ruff", *tool, "--no-cache", "--isolated", "."],
            capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60,
        )  # fmt: skip
        assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", ["No-Rivals", "class", "1st", "", "a" * 80, "../x", "email", "guardrails"])
def test_a_name_that_is_none_for_a_module_writes_nothing(name: str, tmp_path: Path) -> None:
    assert run("new-control", name, "--dir", tmp_path / "x").exit_code == 2
    assert not (tmp_path / "x").exists()


def test_a_control_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    assert run("new-control", "mine", "--dir", tmp_path).exit_code == 0
    ran = run("new-control", "mine", "--dir", tmp_path)
    assert (ran.exit_code, "nothing was written" in ran.output) == (2, True)
