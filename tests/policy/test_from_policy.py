# ruff: noqa: ARG005 - sends take what a real one takes
"""A guard made from a policy is the guard that one would have written in Python, and follows its file."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from guardrails import AuditLog, Guard, Limit, MaskPII, Message, RateLimit, check, from_policy, monitor
from guardrails.audit import read_records
from guardrails.errors import Blocked, ConfigError, ControlError, Denied, RateLimited
from guardrails.pii.operators import Block, Partial
from guardrails.policy import Policy, PolicyError
from guardrails.testing import RecordingSend
from tests.policy import sample
from tests.policy.conftest import Write

TO, OTHER = "+12125550173", "+12125550174"
POLICY = """\
    version: 1
    platform:
      keys: {master: [{file: key}]}
      audit: {folder: audit, durability: os}
      limits:
        person: {rate: 5/minute, per: recipient}
        all: {rate: 100/minute, mode: monitor}
      mask:
        names: off
        operators: {EMAIL_ADDRESS: block, PHONE_NUMBER: {partial: {keep_last: 2}}}
      checks:
        no_discounts: {use: "tests.policy.sample:no_discounts", deadline: 2s, mode: monitor}
    channels:
      sms: {limits: {person: {rate: 4/minute}}}
    tenants:
      acme: {limits: {person: {rate: 2/minute}}}
    teams:
      growth:
        limits: {burst: {rate: 3/minute}}
        checks: {no_words: {use: "tests.policy.sample:no_words", settings: {words: [zebra]}}}
    examples:
      - {in: "call +1 212 555 0173", out: "call ***73", findings: [PHONE_NUMBER]}
      - {in: "mail ann@example.com", denied_by: mask_pii}
      - {in: "a zebra", team: growth, denied_by: no_words}
    """


@pytest.fixture
def policy(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "key").write_text("42" * 32, encoding="utf-8")
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    return write(POLICY)


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def in_python(folder: Path) -> Guard:
    from guardrails.keys import Keys  # noqa: PLC0415 - only here

    keys = Keys.from_text("42" * 32)
    return Guard(
        AuditLog(folder, keys=keys, durability="os"),
        RateLimit(Limit("4/minute", per="recipient", name="person")),
        monitor(RateLimit(Limit("100/minute", name="all"))),
        MaskPII(names="off", operators={"EMAIL_ADDRESS": Block(), "PHONE_NUMBER": Partial(keep_last=2)}),
        monitor(check(name="no_discounts", deadline_seconds=2)(sample.no_discounts.function)),
        channel="sms",
    ).extend(
        RateLimit(Limit("3/minute", name="growth:burst")),
        check(name="no_words")(lambda message: sample.no_words(message, sample.Words(words=["zebra"]))),
    )


def outcomes(guard: Guard) -> list[object]:
    send = RecordingSend()
    safe = guard.wrap(send)
    said: list[object] = []
    for to, body in [
        (TO, "call +1 212 555 0199"), (TO, "a zebra"), (TO, "mail ann@example.com"), (OTHER, "a discount"), (TO, "x" * 300_000),
        (TO, "once"), (TO, "twice"), (OTHER, "more"),
    ]:  # fmt: skip
        try:
            safe(to, body)
        except Denied as error:
            said.append((type(error), error.control, str(error)))
    return [*said, *send.calls]


def without_times(records: Any) -> list[dict[str, Any]]:
    left_out = {
        "event_id",
        "ts",
        "send_id",
        "prev",
        "stream",
        "duration_us",
        "guards",
        "policy",
        "operation",
        "limit",
        "seq",
    }
    return [
        {key: value for key, value in record.items() if key not in left_out}
        | {"guards": [{**one, "duration_us": 0, "detail": {}} for one in record.get("guards", ())]}
        for record in records
        if record["stage"] in ("intent", "outcome", "decision")
    ]


def test_a_guard_from_a_policy_equals_the_same_guard_written_in_python(policy: Path, tmp_path: Path) -> None:
    mine, theirs = in_python(tmp_path / "mine"), from_policy(policy, team="growth", channel="sms")
    assert repr(theirs) == repr(mine)
    assert outcomes(theirs) == outcomes(mine)
    theirs.close()
    assert without_times(read_records(tmp_path / "audit")) != []
    mine._parent.close()  # type: ignore[union-attr]
    assert without_times(read_records(tmp_path / "audit")) == without_times(read_records(tmp_path / "mine"))


def test_each_messages_own_tenant_and_channel_decide(policy: Path) -> None:
    guard = from_policy(policy)
    send = RecordingSend()
    safe = guard.wrap(lambda to, body, org: send(to, body), text="body", recipient="to", tenant="org", channel="sms")
    for org, fits in (("acme", 2), ("other", 4)):
        for _ in range(fits):
            safe(TO, "hi", org=org)
        with pytest.raises(RateLimited):
            safe(TO, "hi", org=org)
    plain = guard.wrap(send)
    for _ in range(5):
        plain(OTHER, "hi")
    with pytest.raises(RateLimited):
        plain(OTHER, "hi")
    assert len(send.calls) == 2 + 4 + 5


def test_a_guard_for_one_tenant_refuses_messages_of_another(policy: Path) -> None:
    guard = from_policy(policy, tenant="acme", channel="sms")

    def run(tenant: str | None) -> str:
        return guard.run(Message("hi", channel="sms", recipients=TO, tenant=tenant), lambda message: "sent")

    assert [run("acme"), run(None)] == ["sent", "sent"]
    with pytest.raises(Denied, match="another tenant") as caught:
        run("other")
    assert caught.value.control == "policy"
    run("acme")
    with pytest.raises(RateLimited):
        run("acme")


def test_all_guards_of_a_file_share_counters_and_audit_log(policy: Path, tmp_path: Path) -> None:
    one, two = from_policy(policy, channel="sms"), from_policy(policy, team="growth", channel="sms")
    assert Policy.at(policy).audit is one._stack.slots[0].control is two._stack.slots[0].control
    first, second = one.wrap(RecordingSend()), two.wrap(RecordingSend())
    for send in (first, second, first, second):
        send(TO, "hi")
    with pytest.raises(RateLimited):
        first(TO, "hi")
    two.close()
    one.wrap(RecordingSend())(OTHER, "still open")
    one.close()
    assert len({record["stream"] for record in read_records(tmp_path / "audit")}) == 1


def test_the_digest_of_the_policy_in_force_is_in_the_record_of_every_send(policy: Path, tmp_path: Path) -> None:
    guard = from_policy(policy)
    send = guard.wrap(RecordingSend())
    send(TO, "hi")
    before = guard.policy
    replaced(policy, "rate: 5/minute", "rate: 3/minute")
    replaced(policy, "rate: 4/minute", "rate: 3/minute")
    assert guard.reload() is True
    send(TO, "hi")
    with pytest.raises(Blocked):
        send(TO, "ann@example.com")
    guard.close()
    records = list(read_records(tmp_path / "audit"))
    said = [
        (record["stage"], record["policy"]) for record in records if record["stage"] in ("intent", "outcome", "decision")
    ]
    assert said == [
        ("intent", before), ("outcome", before), ("intent", guard.policy), ("outcome", guard.policy), ("decision", guard.policy),
    ]  # fmt: skip
    assert before != guard.policy
    changes = [(record["change"], record["facts"]) for record in records if record["stage"] == "config"]
    first, second = str(before)[7:], str(guard.policy)[7:]
    assert changes == [
        ("policy", {"digest": first, "why": "start"}), ("policy", {"digest": second, "before": first, "why": "reload"}),
    ]  # fmt: skip


def test_a_refused_change_is_on_record_too(policy: Path, tmp_path: Path) -> None:
    guard = from_policy(policy).open()
    replaced(policy, "rate: 2/minute", "rate: 9/minute")
    with pytest.raises(ConfigError):
        guard.reload()
    guard.close()
    changes = [
        (record["change"], record["facts"]) for record in read_records(tmp_path / "audit") if record["stage"] == "config"
    ]
    assert changes[1:] == [("policy-refused", {"problems": 1, "error": "PolicyError"})]


def test_a_change_that_cannot_be_recorded_is_said_in_the_log_and_holds(policy: Path, tmp_path: Path, caplog: Any) -> None:
    guard = from_policy(policy).open()
    audit = Policy.at(policy).audit
    assert audit is not None
    audit.close()
    replaced(policy, "rate: 2/minute", "rate: 1/minute")
    assert guard.reload()
    assert "could not be recorded" in caplog.text


def test_a_reload_keeps_counters_and_takes_new_amounts(policy: Path) -> None:
    guard = from_policy(policy)
    send = guard.wrap(RecordingSend())
    for _ in range(3):
        send(TO, "hi")
    for old, new in (("rate: 5/minute", "rate: 4/minute"), ("rate: 4/minute}}}", "rate: 3/minute}}}")):
        replaced(policy, old, new)
    assert guard.reload() is True
    send(TO, "hi")
    with pytest.raises(RateLimited, match="4 in 60 s"):
        send(TO, "hi")
    assert guard.reload() is False


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("rate: 2/minute", "rate: 9/minute", "looser"),
        ('out: "call ***73"', 'out: "call 73"', r"examples\[0\]: expected 'call 73', and 'call \*\*\*73' would go out"),
        ("denied_by: mask_pii", "denied_by: rate_limit", "expected a refusal by rate_limit, and mask_pii refused it"),
        ("names: off", "names: [", "not YAML"),
        ("tests.policy.sample:no_words", "tests.policy.sample:no_wrods", "has no no_wrods"),
        ("words: [zebra]", "wrods: [zebra]", "settings.words: Field required"),
        ("growth:\n", "grwoth:\n", "no such team"),
    ],
)
def test_a_bad_policy_leaves_the_last_good_one(policy: Path, old: str, new: str, why: str, caplog: Any) -> None:
    guard = from_policy(policy, team="growth")
    before = guard.policy
    send = guard.wrap(RecordingSend())
    replaced(policy, old, new)
    with pytest.raises(ConfigError, match=why):
        guard.reload()
    assert guard.policy == before
    assert send(TO, "hi") == "sent"
    assert Policy.at(policy).refused == 1
    assert "was not taken" in caplog.text


def test_a_reload_that_a_decoration_or_team_guard_does_not_fit_changes_nothing(policy: Path) -> None:
    replaced(policy, "limits: {person: {rate: 4/minute}}", "checks: {signs: {use: 'tests.policy.sample:Sign'}}")
    replaced(policy, "    person: {rate: 5/minute, per: recipient}\n", "")
    replaced(policy, "acme: {limits: {person: {rate: 2/minute}}}", "acme: {}")
    guard = from_policy(policy)
    team = guard.extend(check(name="mine")(lambda message: None))
    seen: list[str] = []

    @team(recipient=None)
    def announce(body: str) -> None:
        seen.append(body)

    before = guard.policy
    replaced(policy, "acme: {}", "acme: {limits: {person: {rate: 2/minute, per: recipient}}}")
    with pytest.raises(ConfigError, match="announce: rate_limit needs a recipient"):
        guard.reload()
    assert guard.policy == team.policy == before
    announce("hi")
    assert seen == ["hi"]


def test_team_guards_in_code_follow_the_policy_live(policy: Path) -> None:
    guard = from_policy(policy)
    team = guard.extend(check(name="shouts")(lambda message: message.text.upper()))
    assert team.preview("hi +1 212 555 0173").text == "HI ***73"
    replaced(policy, "keep_last: 2", "keep_last: 1")
    replaced(policy, "***73", "***3")
    guard.reload()
    assert team.preview("hi +1 212 555 0173").text == "HI ***3"
    assert team.policy == guard.policy


def test_an_unknown_team_is_a_config_error_with_the_nearest_name(policy: Path) -> None:
    with pytest.raises(ConfigError, match="no team 'grwoth'; did you mean 'growth'"):
        from_policy(policy, team="grwoth")
    with pytest.raises(ConfigError, match="tenant"):
        from_policy(policy, tenant="")


def test_a_policy_whose_example_fails_makes_no_guard(write: Write) -> None:
    path = write("version: 1\nplatform: {mask: {names: off}}\nexamples: [{in: hi, denied_by: mask_pii}]\n")
    with pytest.raises(PolicyError, match=r"guardrails.yaml:3:12: examples\[0\]: expected a refusal by mask_pii"):
        from_policy(path)


def test_a_policy_without_examples_warns(write: Write, caplog: Any) -> None:
    from_policy(write("version: 1\nplatform: {}\n"))
    assert "has no examples" in caplog.text


def events() -> list[str]:
    """What happened to the signs of the test below; other tests have other signs, and a collector may close them now."""
    return [one for one in sample.Sign.events if one.split()[1] in "ab"]


def test_controls_of_a_policy_that_is_no_longer_in_force_are_closed_when_their_last_call_has_ended(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          checks: {signs: {use: "tests.policy.sample:Sign", settings: {sign: a}}}
        """
    )
    sample.Sign.events.clear()
    guard = from_policy(path)
    inside, leave = threading.Event(), threading.Event()
    bodies: list[str] = []

    @guard
    def send(to: str, body: str) -> None:
        bodies.append(body)
        inside.set()
        leave.wait(5)

    thread = threading.Thread(target=send, args=(TO, "-"))
    thread.start()
    assert inside.wait(5)
    replaced(path, "sign: a", "sign: b")
    guard.reload()
    assert events() == ["open a", "open b"]
    leave.set()
    thread.join()
    gc.collect()
    for other in threading.enumerate():
        if other.name == "guardrails-policy-retired":
            other.join()
    assert events() == ["open a", "open b", "close a"]
    send(TO, "-")
    assert bodies == ["-a", "-b"]
    guard.close()
    assert events() == ["open a", "open b", "close a", "close b"]


def test_a_tenants_controls_are_made_and_opened_when_its_first_message_comes(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform: {}
        tenants: {acme: {checks: {signs: {use: "tests.policy.sample:Sign", settings: {sign: tenant}}}}}
        """
    )
    sample.Sign.events.clear()
    guard = from_policy(path)
    send = RecordingSend()
    safe = guard.wrap(lambda to, body, org: send(to, body), text="body", recipient="to", tenant="org")
    safe(TO, "-", org="other")
    safe(TO, "-", org="acme")
    safe(TO, "-", org="acme")
    assert sample.Sign.events.count("open tenant") == 1
    assert [one.body for one in send.calls] == ["-", "-tenant", "-tenant"]


def test_a_tenants_control_that_cannot_be_made_refuses_its_messages_only(write: Write) -> None:
    path = write('version: 1\nplatform: {}\ntenants: {acme: {checks: {bad: {use: "tests.policy.sample:Unmade"}}}}\n')
    with pytest.raises(PolicyError, match="Unmade"):
        from_policy(path).wrap(RecordingSend())


def test_production_is_asked_of_what_the_policy_makes(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    path = write("version: 1\nplatform: {production: true, audit: {folder: audit}}\n")
    with pytest.raises(ConfigError, match="production needs a key of yours"):
        from_policy(path)


def test_an_async_check_with_settings_is_tried_in_examples_and_refused_on_sync_sends(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          checks: {words: {use: "tests.policy.sample:no_words_async", settings: {words: [zebra]}}}
        examples: [{in: a zebra, denied_by: words}, {in: a horse, out: a horse}]
        """
    )
    guard = from_policy(path)
    with pytest.raises(ConfigError, match="needs an event loop"):
        guard.wrap(RecordingSend())
    guard.wrap(RecordingSend(shape="async"))


@pytest.mark.parametrize(
    ("use", "why"),
    [
        ("no_such_entry", "no installed package has a control 'no_such_entry'"),
        ("no.such.module:x", "cannot be imported"),
        ("tests.policy.sample:", "package.module:name"),
        ("tests.policy.sample:nope", "has no nope"),
        ("tests.policy.sample:Kinded", "has no kind"),
        ("tests.policy.sample:Unmade", "cannot be made"),
        ("tests.policy.sample:bare", "annotate its second parameter"),
        ("tests.policy.sample:__doc__", "is a str"),
    ],
)
def test_a_control_that_cannot_be_had_is_said_with_its_place(write: Write, use: str, why: str) -> None:
    path = write(f'version: 1\nplatform:\n  checks:\n    one: {{use: "{use}"}}\n')
    with pytest.raises(PolicyError, match=why) as caught:
        from_policy(path)
    assert f"{path}:4:5: platform.checks.one" in str(caught.value)


def test_settings_for_a_control_that_takes_none_are_refused(write: Write) -> None:
    for use in ("no_discounts", "plain_sign", "breaks"):
        path = write(
            f'version: 1\nplatform:\n  checks:\n    one: {{use: "tests.policy.sample:{use}", settings: {{a: 1}}}}\n',
            f"{use}.yaml",
        )
        with pytest.raises(PolicyError, match="settings: it takes none"):
            from_policy(path)


def test_each_control_of_ones_own_has_its_own_deadline_and_failure_count(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          checks:
            breaks: {use: "tests.policy.sample:breaks", deadline: 3s, mode: monitor}
            sign: {use: "tests.policy.sample:plain_sign", deadline: 250ms}
        """
    )
    guard = from_policy(path)
    send = guard.wrap(RecordingSend())
    for _ in range(3):
        send(TO, "hi")
    assert guard.failures == {"breaks": 3}
    assert [slot.deadline_seconds for slot in guard._stack.slots] == [3.0, 0.25]
    assert sample.no_discounts.deadline_seconds == 5.0


def test_a_control_named_by_an_entry_point(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = tmp_path / "site" / "signs-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: signs\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[guardrails.controls]\nsign = tests.policy.sample:Sign\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    guard = from_policy(write("version: 1\nplatform: {checks: {mark: {use: sign, settings: {sign: '#'}}}}\n"))
    assert guard.preview("-").text == "-#"
    with pytest.raises(PolicyError, match="did you mean 'sign'"):
        from_policy(write("version: 1\nplatform: {checks: {mark: {use: sing}}}\n", "typo.yaml"))


def test_a_control_error_of_a_check_from_a_policy_denies(write: Write) -> None:
    guard = from_policy(write('version: 1\nplatform: {checks: {breaks: {use: "tests.policy.sample:breaks"}}}\n'))
    send = RecordingSend()
    with pytest.raises(ControlError):
        guard.wrap(send)(TO, "hi")
    assert send.calls == []


def test_no_message_is_lost_doubled_or_sent_under_two_policies_while_it_is_reloaded(write: Write) -> None:
    text = """\
        version: 1
        platform:
          checks:
            one: {use: "tests.policy.sample:Sign", settings: {sign: "0"}}
            two: {use: "tests.policy.sample:Sign", settings: {sign: "0"}}
        """
    path = write(text)
    guard = from_policy(path)
    bodies: list[str] = []
    send = guard(lambda to, body: bodies.append(body))
    over = threading.Event()

    def storm() -> None:
        number = 0
        while not over.is_set():
            number = (number + 1) % 10
            write(text.replace('"0"', f'"{number}"'), "next.yaml").replace(path)
            guard.reload()

    changing = threading.Thread(target=storm)
    changing.start()
    senders = [threading.Thread(target=lambda: [send(TO, "-") for _ in range(250)]) for _ in range(4)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    over.set()
    changing.join()
    assert Policy.at(path).changed > 0
    assert len(bodies) == 1_000
    assert all(len(body) == 3 and body[1] == body[2] for body in bodies)


def test_opt_outs_in_memory_are_one_list_for_all_guards_and_outlive_a_reload(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform: {suppression: {exempt: [service]}}
        tenants: {acme: {suppression: {exempt: []}}}
        """
    )
    policy = Policy.at(path)
    assert policy.suppression is not None
    policy.suppression.add(TO)
    guard = policy.guard(channel="sms")
    for tenant in (None, "acme"):
        assert not guard.preview("hi", recipient=TO, tenant=tenant).allowed
        assert guard.preview("hi", recipient=OTHER, tenant=tenant).allowed
    replaced(path, "exempt: [service]", "exempt: [service, legal]")
    assert guard.reload()
    assert not guard.preview("hi", recipient=TO).allowed


def test_what_is_always_masked_budgets_and_invented_values_are_settings_too(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          mask: {names: off, deny: [Falcon], budget: 20s, over_budget: deny, operators: {PHONE_NUMBER: synthetic}}
        tenants:
          acme: {mask: {deny: [Falcon, Eagle], budget: 10s}}
        examples:
          - {in: Falcon and Eagle, out: <DENIED> and Eagle}
          - {in: Falcon and Eagle, out: <DENIED> and <DENIED>, tenant: acme}
        """
    )
    guard = from_policy(path)
    text = guard.preview("call +1 212 555 0173").text
    assert text is not None
    assert "0173" not in text
    replaced(path, "budget: 10s", "budget: 30s")
    with pytest.raises(PolicyError, match="budget"):
        guard.reload()


@pytest.mark.parametrize(
    "ends", ["import sys\nsys.exit(3)\n", "class Odd(BaseException): pass\nraise Odd('ann@example.com')\n"]
)
def test_a_module_of_a_policy_ends_no_process_that_reads_it(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    (tmp_path / "ending_module.py").write_text(ends)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write("version: 1\nplatform:\n  checks:\n    one: {use: 'ending_module:x'}\n")

    with pytest.raises(PolicyError, match="ending_module cannot be imported") as caught:
        from_policy(path)

    assert "ann@example.com" not in str(caught.value)
