# ruff: noqa: ISC004 - one line of output is one string
"""Every problem of a policy is named at once: file, line, column, key, what is wrong, and the nearest key that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails.errors import ConfigError
from guardrails.policy.operator import Operator, operator
from guardrails.policy.problems import PolicyError
from guardrails.policy.secret import Secret, secret
from guardrails.policy.stacks import all_made
from guardrails.policy.values import seconds, spelled
from tests.policy.conftest import problems, version


def test_all_problems_at_once_each_with_its_place_and_what_to_write() -> None:
    assert problems(
        """\
        version: 2
        platform:
          audit: {folder: audit/, durabilty: os, deadline: 2}
          limits:
            person: {rate: 5/min, per: recipient}
            other: {per: tenant}
          mask:
            operators: {EMAIL_ADDRESS: blok, phone: redact, URL: {partial: {keep: 1}}}
            thresholds: {DEFAULT: 2}
            allow: one
          checks:
            x: {mode: maybe}
        tenants:
          acme:
            limits: {person: {rate: 3/minute}, burst: {per: tenant}}
            mask: {names: true}
            audit: {folder: x}
        examples:
          - {in: hi}
          - {out: hi}
        plattform: 1
        """
    ) == [
        "p.yaml:1:1: version: write 1",
        "p.yaml:3:27: platform.audit.durabilty: there is no such setting; did you mean 'durability'?",
        'p.yaml:3:42: platform.audit.deadline: a duration with its unit, such as "500ms", "2s", "15m", "24h" or "30d"',
        "p.yaml:5:14: platform.limits.person.rate: '5/min': write minute in full",
        'p.yaml:6:5: platform.limits.other.rate: is missing: such as "5/minute"',
        "p.yaml:8:17: platform.mask.operators.EMAIL_ADDRESS: an operator is one of keep, partial, pseudonym, encrypt, hash, "
        "synthetic, replace, redact, block, or one with parameters: {partial: {keep_last: 2}}",
        "p.yaml:8:38: platform.mask.operators.phone: a name that may not stand here: it must match ^[A-Z][A-Z0-9_]{0,63}$",
        "p.yaml:8:53: platform.mask.operators.URL: partial has the parameters keep_last",
        "p.yaml:9:18: platform.mask.thresholds.DEFAULT: it should be less than or equal to 1",
        "p.yaml:10:5: platform.mask.allow: a list belongs here",
        "p.yaml:12:5: platform.checks.x.use: is missing: an entry point's name, or `package.module:name`",
        "p.yaml:12:9: platform.checks.x.mode: write 'enforce' or 'monitor'",
        'p.yaml:15:40: tenants.acme.limits.burst.rate: is missing: such as "5/minute"',
        'p.yaml:16:12: tenants.acme.mask.names: write "off", "model" or "spacy:PACKAGE"',
        "p.yaml:17:13: tenants.acme.audit.folder: there is no such setting; there are deadline, durability, sinks",
        "p.yaml:19:5: examples[0]: says nothing to expect: add out, denied_by or findings",
        "p.yaml:20:5: examples[1].in: is missing: the text",
        "p.yaml:21:1: plattform: there is no such setting; did you mean 'platform'?",
    ]


@pytest.mark.parametrize("text", ["", "[]", "just text", "version: 1", "platform: {}", "version: 1\nplatform:\n"])
def test_a_file_without_what_a_policy_cannot_be_without_says_so(text: str) -> None:
    assert problems(text)


def test_null_says_nothing_and_is_refused() -> None:
    assert problems("version: 1\nplatform:\n  mask: {names: ~}\n") == [
        "p.yaml:3:10: platform.mask.names: null says nothing; leave the setting out"
    ]


def test_what_only_the_whole_can_show_is_found_too() -> None:
    assert problems(
        """\
        version: 1
        platform:
          limits: {person: {rate: 200000/day, per: recipient}, who: {rate: 1/day, per: persn}}
          mask:
            names: off
            more_entities: [US_ITINN, US_PASSPORT]
            operators: {US_PASSPORT: pseudonym, US_ITIN: block}
            own: keep
          checks:
            mask_pii: {use: "tests.policy.sample:breaks"}
          switches: {operators: {ann: nokey}}
          bypassable: {rate_limt: {longest: 15m}, audit_log: {longest: 1m}}
        examples:
          - {in: x, out: x, team: gowth}
        teams: {growth: {}}
        """
    ) == [
        "p.yaml:3:12: platform.limits.person: Limit '200000/day': a moving window remembers every send and holds at most "
        '100000; write strategy="sliding-window-counter"',
        "p.yaml:3:56: platform.limits.who: per: unknown role 'persn'; the roles are recipient, tenant, conversation, actor, "
        "channel, sender",
        "p.yaml:6:21: platform.mask.more_entities[0]: nothing finds US_ITINN; did you mean 'US_ITIN'?",
        "p.yaml:7:17: platform.mask.operators.US_PASSPORT: pseudonym needs platform.stores.vault",
        "p.yaml:7:41: platform.mask.operators.US_ITIN: is not looked for; did you mean 'US_ITINN'?",
        "p.yaml:8:5: platform.mask.own: needs platform.stores.vault",
        "p.yaml:10:5: platform.checks.mask_pii: this name is taken; give it another one",
        "p.yaml:11:3: platform.switches: takes either file or url",
        "p.yaml:11:26: platform.switches.operators.ann: a public key is the base64 that `guardrails keys new operator` prints",
        "p.yaml:12:16: platform.bypassable.rate_limt: there is no such control; did you mean 'rate_limit'?",
        "p.yaml:12:43: platform.bypassable.audit_log: the audit log is never bypassed",
        "p.yaml:14:21: examples[0].team: there is no such team; did you mean 'growth'?",
    ]


@pytest.mark.parametrize(("text", "length"), [("500ms", 0.5), ("2s", 2), ("15m", 900), ("1.5h", 5_400), ("30d", 2_592_000)])
def test_a_duration_has_its_unit(text: str, length: float) -> None:
    assert seconds(text) == length
    assert seconds(spelled(length)) == length


@pytest.mark.parametrize("text", ["2", 2, "2 seconds", "-1s", "", None, "1e9s", "1w"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        seconds(text)


def test_a_secret_is_named_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "hunter2")
    assert secret("${SOME_SECRET}") == secret({"env": "SOME_SECRET"}) == Secret("env", "SOME_SECRET")
    assert secret("${SOME_SECRET}").reveal() == "hunter2"
    assert "hunter2" not in repr(Secret("text", "hunter2"))
    wrongs: list[object] = ["redis://:${SOME_SECRET}@host", {"env": "A", "file": "B"}, {"file": 1}, 3, "", []]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="write"):
            secret(wrong)


def test_a_secret_that_is_not_there_is_a_config_error_that_names_where_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_SECRET is not set"):
        Secret("env", "NO_SUCH_SECRET").reveal()
    with pytest.raises(ConfigError, match="cannot be read"):
        Secret("file", f"{tmp_path}/none").reveal()


def test_a_secret_in_a_file_is_its_text_without_the_line_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("hunter2\n", encoding="utf-8")
    assert Secret("file", str(path)).reveal() == "hunter2"
    path.write_bytes(b"x" * 100_000)
    with pytest.raises(ConfigError, match="too large"):
        Secret("file", str(path)).reveal()


def test_only_secrets_may_come_from_the_environment() -> None:
    assert problems("version: 1\nplatform:\n  mask: {names: '${NAMES}'}\n")
    assert problems("version: 1\nplatform:\n  keys: {master: [deadbeef]}\n") == [
        "p.yaml:3:10: platform.keys.master: keys are secrets: write ${NAME} or {file: PATH}"
    ]


def test_operators_with_parameters() -> None:
    assert operator({"partial": {"keep_last": 2}}) == Operator("partial", (("keep_last", 2),))
    assert str(operator({"replace": {"new_value": "[gone]"}})) == "replace(new_value='[gone]')"
    wrongs: list[object] = [
        {"partial": {"keep_last": 0}},
        {"partial": {"keep_last": True}},
        {"keep": {"x": 1}},
        {},
        [],
        {"a": 1, "b": 2},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"\w"):
            operator(wrong)


def test_equal_files_have_equal_digests_and_others_do_not() -> None:
    one, two = version("version: 1\nplatform: {}\n"), version("version: 1\nplatform: {strict: true}\n")
    assert one.digest == version("version: 1\nplatform: {}\n").digest != two.digest
    assert one.digest.startswith("sha256:")


def test_a_setting_that_may_have_several_forms_is_told_by_the_form_that_was_meant() -> None:
    assert problems(
        """\
        version: 1
        platform:
          limits: {a: {rate: 1/second, per: 5}, b: {rate: 1/second, per: [5]}, "\\u202e": {}}
          mask: {names: off, deny: {x: [y]}}
        examples:
          - {in: x, findings: [a]}
          - {in: x, findings: {URL: -1}}
          - {in: x, findings: 3}
        """
    ) == [
        "p.yaml:3:32: platform.limits.a.per: write text; put numbers and other words into quotes, or a list belongs here",
        "p.yaml:3:67: platform.limits.b.per[0]: write text; put numbers and other words into quotes",
        "p.yaml:3:72: platform.limits.\\u202e: a name that may not stand here: it must match ^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
        'p.yaml:3:72: platform.limits.\\u202e.rate: is missing: such as "5/minute"',
        "p.yaml:4:29: platform.mask.deny.x: it must match ^[A-Z][A-Z0-9_]{0,63}$",
        "p.yaml:6:24: examples[0].findings[0]: it must match ^[A-Z][A-Z0-9_]{0,63}$",
        "p.yaml:7:24: examples[1].findings.URL: it should be greater than or equal to 0",
        "p.yaml:8:13: examples[2].findings: a list belongs here, or a mapping belongs here",
    ]


def test_a_path_a_length_and_the_version_say_what_to_write() -> None:
    assert problems(
        """\
        version: true
        platform:
          audit: {folder: "${HOME}/audit", deadline: 0s, sinks: {more: {sqlite: "${DB}"}}}
          mask: {recognizers: ["${DIR}/a.yaml"]}
          checks: {x: {use: "a:b", deadline: 0s}}
        """
    ) == [
        "p.yaml:1:1: version: a whole number belongs here",
        (
            "p.yaml:3:11: platform.audit.folder: ${NAME} stands for secrets only; write the path out, or put it where the "
            "policy file lies"
        ),
        "p.yaml:3:36: platform.audit.deadline: a duration of more than nothing",
        (
            "p.yaml:3:65: platform.audit.sinks.more.sqlite: ${NAME} stands for secrets only; write the path out, or put it "
            "where the policy file lies"
        ),
        (
            "p.yaml:4:24: platform.mask.recognizers[0]: ${NAME} stands for secrets only; write the path out, or put it where "
            "the policy file lies"
        ),
        "p.yaml:5:28: platform.checks.x.deadline: a duration of more than nothing",
    ]


def test_a_secret_that_is_not_there_is_told_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_STORE", raising=False)
    policy = version(
        """\
        version: 1
        platform:
          stores: {limits: {url: "${NO_SUCH_STORE}"}}
          keys: {master: [{file: no-such-key}]}
          limits: {person: {rate: 5/minute, per: recipient}}
          person_caps: {daily: {rate: 3/day}}
        """
    )
    with pytest.raises(PolicyError) as caught:
        all_made(policy)
    assert [str(one) for one in caught.value.problems] == [
        "p.yaml:3:21: platform.stores.limits.url: the environment variable NO_SUCH_STORE is not set"
    ]


def test_all_settings_of_a_control_of_ones_own_that_are_wrong_are_told() -> None:
    policy = version(
        """\
        version: 1
        platform:
          checks:
            words:
              use: "tests.policy.sample:no_words"
              settings: {words: 5, word: zebra, else: 1}
        """
    )
    with pytest.raises(PolicyError) as caught:
        all_made(policy)
    assert [str(one) for one in caught.value.problems] == [
        "p.yaml:6:18: platform.checks.words.settings.words: Input should be a valid list",
        "p.yaml:6:28: platform.checks.words.settings.word: there is no such setting; did you mean 'words'?",
        "p.yaml:6:41: platform.checks.words.settings.else: there is no such setting; there are words",
    ]
