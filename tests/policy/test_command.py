"""`guardrails policy`: check, explain, diff, schema."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guardrails.cli.app import app
from guardrails.policy.model import PolicyFile
from guardrails.policy.schema import json_schema
from tests.policy.conftest import Write

ROOT = Path(__file__).parent.parent.parent
POLICY = """\
    version: 1
    platform:
      audit: {folder: audit, deadline: 500ms}
      limits:
        person: {rate: 5/minute, per: recipient}
      mask: {names: off, operators: {EMAIL_ADDRESS: block}, allow: [a, b]}
      stores: {limits: {url: "memory://"}}
    channels:
      sms: {limits: {person: {rate: 4/minute}}}
    tenants:
      acme: {mask: {allow: [a], operators: {DEFAULT: redact}}}
    teams:
      growth: {checks: {no_discounts: {use: "tests.policy.sample:no_discounts"}}, limits: {burst: {rate: 1/second}}}
    examples:
      - {name: phones, in: "call +1 212 555 0173", out: "call <PHONE_NUMBER>"}
      - {in: "mail ann@example.com", denied_by: mask_pii}
    """


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def test_check_runs_the_examples_and_says_the_digest(write: Write) -> None:
    ran = run("check", write(POLICY))
    assert ran.exit_code == 0, ran.output
    assert "2 of 2 examples hold; sha256:" in ran.output


KEPT = """\
    version: 1
    platform:
      keys: {master: [{file: key}]}
      audit: {folder: audit, sinks: {db: {sqlite: audit.db}}}
      stores:
        vault: {url: "sqlite:///vault.db"}
        people: {url: "sqlite:///people.db"}
        suppression: {url: "sqlite:///stop.db"}
      suppression: {}
      unique_recipients: {a: {amount: 5, window: 1h}}
      mask: {names: off, own: keep, operators: {EMAIL_ADDRESS: pseudonym}}
    examples:
      - {in: "hello", out: "hello", recipient: "+12125550173", tenant: acme, conversation: c1}
    """


def test_nothing_is_left_beside_a_policy_that_is_only_looked_at(write: Write, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("42" * 32, encoding="utf-8")
    path = write(KEPT)
    for asked in (("check", path), ("explain", path), ("diff", path, path)):
        ran = run(*asked)
        assert ran.exit_code == 0, ran.output
        assert sorted(one.name for one in tmp_path.iterdir()) == ["guardrails.yaml", "key"]


def test_a_store_that_could_not_be_used_is_still_told(write: Write, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("42" * 32, encoding="utf-8")
    ran = run("check", write(KEPT.replace("///vault.db", "///nowhere/vault.db")))
    assert ran.exit_code == 2
    assert "the folder of the SQLite file does not exist" in ran.output
    (tmp_path / "stop.db").write_text("not a database, and more than sixteen bytes", encoding="utf-8")
    ran = run("check", write(KEPT))
    assert ran.exit_code == 2
    assert "cannot be used" in ran.output


BROKEN = {
    "utf-16": POLICY.encode("utf-16"),
    "nothing": b"",
    "nul bytes": b"\0" * 9,
    "a tab": b"version: 1\nplatform:\n\tlimits: {}\n",
    "half a quote": b'version: 1\nplatform: {checks: {a: {use: "x',
    "deep": b"[" * 100_000,
    "deep mappings": b"{a: " * 5_000,
    "huge": b"a" * (4 * 1024 * 1024 + 1),
    "an escape that is none": b'version: 1\nplatform: {"\\ud800": 1}\n',
    "a bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a list": b"- 1\n",
    "many": b"version: 1\nplatform:\n" + b"".join(b"  x%d: 1\n" % number for number in range(2_000)),
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_whatever_the_bytes_check_says_what_is_wrong_in_words(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(raw)
    ran = run("check", path)
    assert (ran.exit_code, type(ran.exception)) == (2, SystemExit), ran.output
    assert f"guardrails: the policy {path} has " in ran.output
    assert len(ran.output.splitlines()) <= 60


def test_a_folder_a_loop_and_nothing_at_all_are_no_policies(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    for path in (tmp_path, tmp_path / "one", tmp_path / "missing", tmp_path / ("x" * 300)):
        ran = run("check", path)
        assert (ran.exit_code, "it cannot be read" in ran.output) == (2, True), ran.output


def test_check_names_each_example_that_fails_and_writes_junit(write: Write, tmp_path: Path) -> None:
    path = write(POLICY.replace('"call <PHONE_NUMBER>"', '"call <PHONE>"'))
    ran = run("check", path, "--junit", tmp_path / "out.xml")
    assert ran.exit_code == 1
    assert f"{path}:15:5: phones: expected 'call <PHONE>', and 'call <PHONE_NUMBER>' would go out" in ran.output
    suite = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    failures = [case.find("failure") for case in suite]
    assert failures[1] is None
    assert failures[0] is not None
    assert "expected 'call <PHONE>'" in failures[0].attrib["message"]


def test_check_of_a_wrong_policy_names_every_problem_and_ends_with_2(write: Write) -> None:
    ran = run("check", write(POLICY.replace("rate: 4/minute", "rate: 9/minute").replace("deadline", "deadlin")))
    assert ran.exit_code == 2
    assert "did you mean 'deadline'?" in ran.output
    ran = run("check", write(POLICY.replace("rate: 4/minute", "rate: 9/minute")))
    assert "channels.sms.limits.person.rate: 9/minute is looser" in ran.output
    assert run("check", "no-such-file.yaml").exit_code == 2


def test_check_of_a_wrong_policy_writes_junit_too_and_says_where_it_cannot(write: Write, tmp_path: Path) -> None:
    wrong = write(POLICY.replace("rate: 4/minute", "rate: 9/minute"))
    ran = run("check", wrong, "--junit", tmp_path / "out.xml")
    assert ran.exit_code == 2
    suite = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("1", "0", "1")
    assert "9/minute is looser" in str(suite[0][0].attrib["message"])
    ran = run("check", write(POLICY), "--junit", tmp_path / "no" / "out.xml")
    assert ran.exit_code == 2
    assert "out.xml cannot be written (No such file or directory)" in " ".join(ran.output.split())


def test_check_warns_about_a_policy_without_examples(write: Write) -> None:
    ran = run("check", write("version: 1\nplatform: {}\n"))
    assert ran.exit_code == 0
    assert "warning" in ran.output


@pytest.mark.parametrize(
    ("example", "why"),
    [
        ("{in: hello, denied_by: mask_pii}", "expected a refusal by mask_pii, and it would go out"),
        (
            '{in: "a@example.com", denied_by: rate_limit}',
            "expected a refusal by rate_limit, and mask_pii refused it (Blocked)",
        ),
        ('{in: "a@example.com", out: x}', "expected it to go out, and mask_pii refused it (Blocked)"),
        ('{in: "+1 212 555 0173", findings: [URL]}', "expected the findings URL, and found PHONE_NUMBER 1"),
        (
            '{in: "+1 212 555 0173", findings: {PHONE_NUMBER: 2}}',
            "expected the findings PHONE_NUMBER 2, and found PHONE_NUMBER 1",
        ),
        ("{in: hello, findings: [URL]}", "expected the findings URL, and found none"),
    ],
)
def test_an_example_says_what_it_expected_and_what_happened(write: Write, example: str, why: str) -> None:
    ran = run("check", write(POLICY.rstrip(" ") + f"      - {example}\n"))
    assert (ran.exit_code, why in ran.output) == (1, True), ran.output


def test_explain_shows_the_stack_in_order_and_where_each_setting_was_said(write: Write) -> None:
    path = write(POLICY)
    ran = run("explain", path, "--channel", "sms", "--tenant", "acme", "--team", "growth")
    assert ran.exit_code == 0, ran.output
    lines = [" ".join(line.split()) for line in ran.output.splitlines()]
    controls = [line for line in lines if line[:1].isdigit()]
    assert controls == [
        "1. audit_log platform enforce",
        "2. rate_limit platform enforce",
        "3. mask_pii platform enforce",
        "4. rate_limit team enforce",
        "5. no_discounts team enforce",
    ]
    for line in (
        f"folder audit {path}:3:11",
        f"deadline 500ms {path}:3:26",
        "durability fsync default",
        f"person.rate 4/minute {path}:9:27 (channels.sms)",
        f"person.per recipient {path}:5:30",
        f"operators.EMAIL_ADDRESS block {path}:6:34",
        f"operators.DEFAULT redact {path}:11:41 (tenants.acme)",
        f"allow [a] {path}:6:57, {path}:11:17 (tenants.acme)",
        f"burst.rate 1/second {path}:13:96 (teams.growth)",
    ):
        assert line in lines
    assert run("explain", path, "--team", "grwoth").exit_code == 2


def test_diff_says_what_is_tighter_looser_and_neither(write: Write) -> None:
    before = write(POLICY)
    after = write(
        POLICY.replace("rate: 4/minute", "rate: 2/minute")
        .replace("EMAIL_ADDRESS: block", "EMAIL_ADDRESS: partial")
        .replace("per: recipient", "per: [recipient, channel]")
        .replace("burst: {rate: 1/second}", "burst: {rate: 1/second}, more: {rate: 1/second}")
        .replace("checks: {no_discounts: ", "checks: {other: ")
        .replace('      - {in: "mail ann@example.com", denied_by: mask_pii}\n', ""),
        "after.yaml",
    )
    assert run("diff", before, before).output == "equal\n"
    ran = run("diff", before, after)
    assert ran.exit_code == 0, ran.output
    assert ran.output.splitlines() == [
        "changed  platform.limits.person.per: recipient -> [recipient, channel]",
        "looser   platform.mask.operators.EMAIL_ADDRESS: block -> partial",
        "tighter  channels.sms.limits.person.rate: 4/minute -> 2/minute",
        "looser   tenants.acme.mask.operators.EMAIL_ADDRESS: block -> redact",
        "tighter  teams.growth.limits.more: nothing -> settings",
        "looser   teams.growth.checks.no_discounts: settings -> nothing",
        "tighter  teams.growth.checks.other: nothing -> settings",
    ]
    assert run("diff", before, after, "--fail-on-looser").exit_code == 1
    assert run("diff", before, before, "--fail-on-looser").exit_code == 0


def test_schema_is_the_one_that_is_kept_in_the_documentation() -> None:
    kept = (ROOT / "docs" / "reference" / "policy.schema.json").read_text(encoding="utf-8")
    assert run("schema").output == kept


def test_the_schema_knows_every_setting_and_allows_no_other() -> None:
    schema = json_schema()

    def objects(part: Any) -> Any:
        if isinstance(part, dict):
            if part.get("type") == "object" and "properties" in part:
                yield part
            for one in part.values():
                yield from objects(one)
        elif isinstance(part, list):
            for one in part:
                yield from objects(one)

    assert all(one["additionalProperties"] is False for one in objects(schema))
    assert set(schema["properties"]) == {field.alias or name for name, field in PolicyFile.model_fields.items()}
    assert json.dumps(schema)


def test_explain_and_diff_show_what_a_layer_adds_to_the_audit_log(write: Write) -> None:
    text = """\
        version: 1
        platform: {audit: {folder: audit, durability: os}}
        tenants: {acme: {audit: {sinks: {mine: {folder: acme}}}}}
        """
    path = write(text)
    lines = [" ".join(line.split()) for line in run("explain", path, "--tenant", "acme").output.splitlines()]
    assert f"sinks.mine.folder acme {path}:3:41 (tenants.acme)" in lines
    assert "sinks.mine.required true default" in lines
    assert not [line for line in lines if "table" in line or "rotate" in line]
    other = write(text.replace("folder: acme", "folder: acme, required: false").replace("os}", "fsync}"), "other.yaml")
    ran = run("diff", path, other, "--fail-on-looser")
    assert ran.exit_code == 1
    assert ran.output.splitlines() == [
        "tighter  platform.audit.durability: os -> fsync",
        "looser   tenants.acme.audit.sinks.mine.required: true -> false",
    ]
