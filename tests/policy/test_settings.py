# ruff: noqa: ARG005, E501, ISC004 - sends take what a real one takes; a line of output is a string
"""Every setting of a policy makes the control that the same arguments make in Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from guardrails import (
    AuditLog,
    Cap,
    Concurrency,
    Denied,
    Guard,
    Limit,
    MaskPII,
    QuietHours,
    RateLimit,
    Suppression,
    UniqueRecipients,
    from_policy,
    monitor,
)
from guardrails.audit import JsonlDirectory, SqliteSink, SyslogAnchor, read_records
from guardrails.core.control import Control
from guardrails.core.stack import Monitored
from guardrails.errors import Deferred, GuardrailsError, RateLimited, Unavailable
from guardrails.keys import Keys
from guardrails.policy import Policy
from guardrails.policy.explain import explained
from guardrails.policy.making.audit import AuditMaker
from guardrails.ratelimit import message_class
from guardrails.testing import RecordingSend
from tests.policy import sample
from tests.policy.conftest import Write, problems, version

ANN, BOB, EVE = "+12125550173", "+12125550174", "+12125550175"
NIGHT, NOON = datetime(2026, 3, 2, 22, 30, tzinfo=UTC), datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = "42" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of this test."""
    monkeypatch.setenv("GUARDRAILS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GUARDRAILS_KEY", KEY)


def said(guard: Guard) -> list[object]:
    """What becomes of some messages, twice each, and of previews by day and by night."""
    found: list[object] = []
    send = RecordingSend()
    safe = guard.wrap(send)
    for kind in (None, "marketing", "otp"):
        for to in (ANN, BOB, EVE, "somebody", ANN):
            for at in (NIGHT, NOON):
                decision = guard.preview("hello", recipient=to, at=at)
                found.append((decision.allowed, str(decision.refusal)))
            try:
                if kind is None:
                    safe(to, "hello")
                else:
                    with message_class(kind):
                        safe(to, "hello")
            except Denied as error:
                found.append((type(error), error.control, str(error)))
    return [*found, *send.calls]


RULES: list[tuple[str, Callable[[], list[Control | Monitored]]]] = [
    ("suppression: {exempt: [otp], opaque_ids: true}", lambda: [Suppression(exempt=["otp"], opaque_ids=True)]),
    (
        'quiet_hours: {night: {hours: "21:00-08:00", zone: Europe/Berlin}}',
        lambda: [QuietHours("21:00", "08:00", zone="Europe/Berlin", name="night")],
    ),
    (
        'quiet_hours: {x: {hours: "00:00-23:59", unknown: [Asia/Tokyo], days: [mon, tue], classes: [marketing], exempt: [otp]}}',
        lambda: [
            QuietHours(
                "00:00",
                "23:59",
                unknown=["Asia/Tokyo"],
                days=["mon", "tue"],
                classes=["marketing"],
                exempt=["otp"],
                name="x",
            )
        ],
    ),
    (
        "person_caps: {daily: {rate: 1/day, zone: UTC, exempt: [otp]}}",
        lambda: [Cap("1/day", zone="UTC", exempt=["otp"], name="daily")],
    ),
    (
        "person_caps: {all: {rate: 2/week, per: channel, zone: UTC, classes: [otp], scope: global}}",
        lambda: [Cap("2/week", per="channel", zone="UTC", classes=["otp"], scope="global", name="all")],
    ),
    (
        "person_caps: {open: {rate: 2/month, opaque_ids: true, unknown: [UTC]}}",
        lambda: [Cap("2/month", opaque_ids=True, unknown=["UTC"], name="open")],
    ),
    (
        "unique_recipients: {reach: {amount: 2, window: 24h, opaque_ids: true, exempt: [marketing]}}",
        lambda: [UniqueRecipients(2, window="24h", opaque_ids=True, exempt=["marketing"], name="reach")],
    ),
    (
        "unique_recipients: {reach: {amount: 1, window: 7 days, per: [channel], mode: monitor}}",
        lambda: [monitor(UniqueRecipients(1, window="7 days", per=("channel",), name="reach"))],
    ),
    (
        "concurrency: {running: {amount: 3, per: recipient, scope: global, protects: people, lease: 30s}}",
        lambda: [Concurrency(3, per="recipient", scope="global", lease_seconds=30, name="running")],
    ),
    (
        'quiet_hours: {night: {hours: "21:00-08:00", zone: "tests.policy.sample:zone_of", exempt: [otp],'
        ' message_class: "tests.policy.sample:class_of"}}',
        lambda: [
            QuietHours("21:00", "08:00", zone=sample.zone_of, exempt=["otp"], message_class=sample.class_of, name="night")
        ],
    ),
    (
        'suppression: {opaque_ids: true, message_class: "tests.policy.sample:class_of", exempt: [otp]}',
        lambda: [Suppression(opaque_ids=True, message_class=sample.class_of, exempt=["otp"])],
    ),
    (
        'limits: {long: {rate: 12/hour, per: "tests.policy.sample:last_digit_of", cost: "tests.policy.sample:length_of"}}',
        lambda: [RateLimit(Limit("12/hour", per=sample.last_digit_of, cost=sample.length_of, name="long"))],
    ),
    (
        'limits: {words: {rate: 2/hour, per: recipient, cost: tokens, tokenizer: "builtins:len"}}',
        lambda: [RateLimit(Limit("2/hour", per="recipient", cost="tokens", tokenizer=len, name="words"))],
    ),
    (
        "defaults: {region: US, zone: UTC, mode: monitor}, person_caps: {daily: {rate: 1/day}}",
        lambda: [monitor(Cap("1/day", region="US", zone="UTC", name="daily"))],
    ),
]


@pytest.mark.parametrize(("settings", "controls"), RULES, ids=[settings[:40] for settings, _ in RULES])
def test_a_rule_from_a_policy_equals_the_same_rule_written_in_python(
    write: Write, settings: str, controls: Callable[[], list[Control | Monitored]]
) -> None:
    mine, theirs = (
        Guard(*controls(), channel="sms"),
        from_policy(write(f"version: 1\nplatform: {{{settings}}}\n"), channel="sms"),
    )
    assert repr(theirs) == repr(mine)
    assert [(slot.name, slot.monitored, slot.needs, slot.deadline_seconds) for slot in theirs._stack.slots] == [
        (slot.name, slot.monitored, slot.needs, slot.deadline_seconds) for slot in mine._stack.slots
    ]
    assert said(theirs) == said(mine)
    mine.close()
    theirs.close()


def test_controls_stand_in_their_order_and_teams_have_rules_of_their_own(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          audit: {folder: audit, durability: os}
          suppression: {}
          quiet_hours: {night: {hours: "21:00-08:00", zone: UTC}}
          person_caps: {daily: {rate: 3/day, zone: UTC}}
          unique_recipients: {reach: {amount: 250, window: 24h}}
          limits: {person: {rate: 5/minute, per: recipient}}
          concurrency: {running: {amount: 5}}
          mask: {names: off}
        teams:
          growth:
            person_caps: {daily: {rate: 2/day}, weekly: {rate: 5/week, zone: UTC}}
            concurrency: {few: {amount: 1}}
        """
    )
    guard = from_policy(path, team="growth", channel="sms")
    assert [(slot.layer, slot.name) for slot in guard._stack.slots] == [
        *(("platform", name) for name in ("audit_log", "suppression", "night", "daily", "reach", "rate_limit", "running")),
        ("platform", "mask_pii"),
        ("team", "growth:weekly"),
        ("team", "growth:few"),
    ]
    parts = {
        part.name: {line.setting: line for line in part.lines} for part in explained(Policy.at(path).version, team="growth")
    }
    assert parts["daily"]["rate"][1:] == ("2/day", f"{path}:13:27 (teams.growth)")
    assert parts["daily"]["zone"][1:] == ("UTC", f"{path}:6:38")
    assert parts["growth:weekly"]["rate"][1:] == ("5/week", f"{path}:13:50 (teams.growth)")
    assert parts["running"]["lease"][1:] == ("1m", "default")
    assert parts["night"]["hours"][1:] == ("21:00-08:00", f"{path}:5:25")
    assert parts["audit_log"]["durability"][1:] == ("os", f"{path}:3:26")


def test_counts_and_leases_of_people_go_on_when_a_policy_changes(write: Write) -> None:
    text = """\
        version: 1
        platform:
          person_caps: {daily: {rate: 3/day, zone: UTC}}
          unique_recipients: {reach: {amount: 3, window: 24h}}
          concurrency: {running: {amount: 2}}
        tenants:
          acme: {person_caps: {daily: {rate: 2/day}}, concurrency: {running: {amount: 1}}}
        """
    path = write(text)
    guard = from_policy(path, channel="sms")

    of_acme = guard.wrap(lambda to, body, tenant: "sent")

    @guard
    def send(to: str, body: str) -> str:
        if body == "again":
            write(text.replace("3/day", "2/day").replace("amount: 2}", "amount: 1}").replace("amount: 3", "amount: 1"))
            assert guard.reload()
            with pytest.raises(RateLimited):  # this send still runs
                send(ANN, "hello")
        return "sent"

    of_acme(ANN, "hello", "acme")
    of_acme(ANN, "hello", "acme")
    with pytest.raises(Deferred, match="cap 2/day"):
        of_acme(ANN, "hello", "acme")
    assert send(ANN, "again") == "sent"
    assert send(ANN, "hello") == "sent"
    with pytest.raises(Deferred, match="1 people in 24h"):
        send(BOB, "hello")
    with pytest.raises(Deferred, match="cap 2/day"):
        send(ANN, "hello")
    guard.close()


def test_errors_that_prove_that_nothing_was_sent_give_the_charge_back(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform: {limits: {person: {rate: 1/hour, per: recipient}}, refund_on: [ConnectionRefusedError, "json:JSONDecodeError"]}
        tenants: {acme: {refund_on: []}}
        """
    )
    guard = from_policy(path, channel="sms")

    def sent(to: str, body: str, tenant: str) -> str:
        if body == "lost":
            raise ConnectionRefusedError
        return "sent"

    send = guard.wrap(sent)
    for tenant in ("other", "acme"):
        with pytest.raises(ConnectionRefusedError):
            send(ANN, "lost", tenant)
    assert send(ANN, "hello", "other") == "sent"
    with pytest.raises(RateLimited):
        send(ANN, "hello", "acme")
    [line] = [line for line in explained(Policy.at(path).version)[0].lines if line.setting == "refund_on"]
    assert line[1:] == ("[ConnectionRefusedError, json:JSONDecodeError]", f"{path}:2:62")
    guard.close()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            "limits: {a: {rate: 1/hour}}, refund_on: [ConectionRefusedError]",
            "platform.refund_on: there is no error ConectionRefus",
        ),
        (
            "limits: {a: {rate: 1/hour}}, refund_on: [TimeoutError]",
            "platform.refund_on: refund_on: TimeoutError may be raised",
        ),
        ("limits: {a: {rate: 1/hour}}, refund_on: ['nowhere:Lost']", "platform.refund_on: nowhere cannot be imported"),
        (
            "limits: {a: {rate: 1/hour}}, refund_on: ['json:loads']",
            "there is no error json:loads; write package.module:Name",
        ),
        ("limits: {a: {rate: 1/hour, cost: 'json:nope'}}", "platform.limits.a: json has no nope"),
        ("person_caps: {a: {rate: 1/day, zone: 'json:__name__'}}", "platform.person_caps.a: json:__name__ is no function"),
        ("audit: {durability: os}", "platform.audit: an audit log needs a place: add folder, or sinks"),
        ("audit: {sinks: {a: {}}}", "sinks.a: says one of folder, sqlite, postgres"),
        ("audit: {sinks: {a: {sqlite: x, keep_days: 3}}}", "sinks.a: keep_days goes with folder"),
        (
            "audit: {folder: a, signer: {key_file: k, name: n}, anchors: [{folder: x, http: 'https://example.com'}]}",
            "anchors: says one",
        ),
        ("audit: {folder: a, anchors: [{folder: x, transport: tcp}]}", "anchors: transport goes with syslog"),
        ("audit: {folder: a, min_success: 2}", "min_success"),
        ("mask: {names: off, recognizers: [nowhere.yaml]}", "nowhere.yaml cannot be read"),
        ("mask: {names: off, countries: [xx]}", "there are no recognizers for 'xx'"),
        ("mask: {names: off, analyzer: nowhere.yaml}", "nowhere.yaml"),
    ],
)
def test_what_cannot_be_made_says_where_and_why(write: Write, settings: str, why: str) -> None:
    (Path(write("x").parent) / "k").write_text("no key", encoding="utf-8")
    with pytest.raises(GuardrailsError) as caught:
        from_policy(write(f"version: 1\nplatform: {{{settings}}}\n"))
    assert why in str(caught.value)


def test_what_could_be_meant_in_two_ways_is_found_when_a_policy_is_read() -> None:
    assert problems(
        """\
        version: 1
        platform:
          quiet_hours: {a: {hours: "8-20"}, b: {hours: "21:00-21:00"}, c: {hours: "21:00-08:00", zone: Mars/Base}}
          person_caps: {d: {rate: 5/hour}, e: {rate: 5/day, per: channel}, f: {rate: 5/day, exempt: [otp], classes: [otp]}}
          unique_recipients: {g: {amount: 5, window: 90 days}, rate_limit: {amount: 1, window: 1h}}
          concurrency: {h: {amount: 5, lease: 1.5s}, i: {amount: 5, per: person}}
          mask: {names: off, allow_patterns: ["["]}
        tenants:
          acme: {concurrency: {d: {amount: 3}}}
        examples:
          - {in: x, out: x, at: yesterday}
          - {in: x, out: x, at: "2026-03-02T22:30"}
        """
    ) == [
        'p.yaml:3:21: platform.quiet_hours.a.hours: hours are written "21:00-08:00", and leave a part of the day',
        'p.yaml:3:41: platform.quiet_hours.b.hours: hours are written "21:00-08:00", and leave a part of the day',
        'p.yaml:4:21: platform.person_caps.d.rate: Cap: write it as "3/day", "10/week" or "20/month"; for other windows take a '
        "Limit",
        'p.yaml:5:38: platform.unique_recipients.g.window: UniqueRecipients: write the window as "24h" or "7 days"; at most 31 days',
        "p.yaml:7:39: platform.mask.allow_patterns[0]: this is no regular expression (unterminated character set at position 0)",
        'p.yaml:11:21: examples[0].at: a time with its offset, such as "2026-03-02T22:30+01:00" or "2026-03-02T21:30Z"',
        'p.yaml:12:21: examples[1].at: a time with its offset, such as "2026-03-02T22:30+01:00" or "2026-03-02T21:30Z"',
    ]
    assert problems(
        """\
        version: 1
        platform:
          quiet_hours: {c: {hours: "21:00-08:00", zone: Mars/Base}}
          person_caps: {d: {rate: 1/day}, e: {rate: 5/day, per: channel}, f: {rate: 5/day, exempt: [otp], classes: [otp]}}
          unique_recipients: {rate_limit: {amount: 1, window: 1h}}
          concurrency: {h: {amount: 5, lease: 1.5s}, i: {amount: 5, per: person}}
        tenants:
          acme: {concurrency: {d: {amount: 3}}}
        """
    ) == [
        'p.yaml:3:17: platform.quiet_hours.c: a time zone is an IANA name, such as "Europe/Berlin"',
        'p.yaml:4:35: platform.person_caps.e: Cap: per= has no "recipient", whose calendar it could be; give one zone= for '
        "everybody",
        "p.yaml:4:67: platform.person_caps.f: Cap: a class stands in classes= and in exempt=",
        "p.yaml:5:23: platform.unique_recipients.rate_limit: this name is taken; give it another one",
        "p.yaml:6:17: platform.concurrency.h: lease is whole seconds",
        "p.yaml:6:46: platform.concurrency.i: per: unknown role 'person'; the roles are recipient, tenant, conversation, actor, "
        "channel, sender",
        "p.yaml:8:24: tenants.acme.concurrency.d: platform.person_caps.d (p.yaml:4:17) has this name; give one of them another one",
    ]


# -- examples and defaults -------------------------------------------------------------------------------------------------


def test_examples_say_when_and_of_which_class_and_hold_at_any_time_otherwise(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform:
          defaults: {channel: sms, region: US, zone: UTC, mode: enforce, deadline: 1s}
          quiet_hours: {night: {hours: "00:01-00:00", exempt: [otp]}}
          checks: {words: {use: "tests.policy.sample:no_words_async", settings: {words: [zebra]}}}
        examples:
          - {in: hi, out: hi, recipient: "(212) 555-0173"}
          - {in: hi, denied_by: night, recipient: "(212) 555-0173", at: "2026-03-02T22:30Z"}
          - {in: hi, out: hi, recipient: "(212) 555-0173", at: "2026-03-02T01:00:30+01:00"}
          - {in: hi, out: hi, recipient: "(212) 555-0173", at: "2026-03-02T22:30+00:00", message_class: otp}
          - {in: a zebra, denied_by: words, message_class: otp}
        """
    )
    policy = Policy.at(path)
    assert policy.guard()._channel == "sms"
    parts = {part.name: {line.setting: line for line in part.lines} for part in explained(policy.version)}
    assert parts["night"]["zone"][1:] == ("UTC", f"{path}:3:40 (defaults)")
    assert parts["words"]["deadline"][1:] == ("1s", f"{path}:3:66 (defaults)")


# -- the audit log ---------------------------------------------------------------------------------------------------------


def stages(folder: Path) -> list[str]:
    return [record["stage"] for record in read_records(folder) if record["stage"] in ("intent", "outcome")]


def test_a_layer_records_in_more_places_and_the_platform_says_which_must_take_it(write: Write, tmp_path: Path) -> None:
    path = write(
        """\
        version: 1
        platform:
          audit:
            folder: audit
            durability: os
            sinks: {spare: {folder: spare, required: false}, table: {sqlite: audit.db}}
        tenants: {acme: {audit: {sinks: {acme: {folder: acme, rotate_bytes: 100000, keep_days: 30}}}}}
        teams: {growth: {audit: {durability: fsync}}}
        """
    )
    guard = from_policy(path, channel="sms")
    send = guard.wrap(lambda to, body, tenant: "sent")
    send(ANN, "hello", "other")
    send(ANN, "hello", "acme")
    growth = from_policy(path, team="growth", channel="sms")
    growth.wrap(RecordingSend())(ANN, "hello")
    (tmp_path / "acme").rename(tmp_path / "gone")
    (tmp_path / "acme").write_text("in the way", encoding="utf-8")
    guard.close()
    growth.close()
    assert stages(tmp_path / "audit") == ["intent", "outcome"] * 3
    assert stages(tmp_path / "spare") == ["intent", "outcome"] * 3
    assert stages(tmp_path / "gone") == ["intent", "outcome"]
    again = from_policy(path, channel="sms")
    with pytest.raises(Unavailable):
        again.wrap(lambda to, body, tenant: "sent")(ANN, "hello", "acme")
    assert again.wrap(lambda to, body, tenant: "sent")(ANN, "hello", "other") == "sent"
    again.close()


def test_an_audit_log_from_a_policy_equals_the_same_log_written_in_python(write: Write, tmp_path: Path) -> None:
    from guardrails.audit import Bounds, DirectoryAnchor, Ed25519Signer, HttpAnchor  # noqa: PLC0415 - only here
    from guardrails.keys.operator import new_private_key  # noqa: PLC0415

    new_private_key(tmp_path / "signing.pem")
    settings = version(
        """\
        version: 1
        platform:
          keys: {master: ["${GUARDRAILS_KEY}"], epochs: {folder: epochs, days: 7}}
          audit:
            folder: audit
            sinks: {more: {folder: more, rotate: 12h, compress: true, required: false}}
            min_success: 1
            level: masked
            emergency: spare
            signer: {key_file: signing.pem, name: shop}
            anchors:
              - anchor
              - {http: "https://example.com/notes", authorization: "${GUARDRAILS_KEY}", timeout: 500ms}
              - {syslog: /dev/log}
              - {syslog: "log.example.com:514", transport: udp}
            checkpoint_every: 500
            checkpoint_within: 2m
            anchor_grace: 90s
            bounds: {in_flight: 5}
            deadline: 1s
        """
    ).platform.audit
    assert settings is not None
    keys = Keys.from_text(KEY)
    theirs = AuditMaker(keys, lambda text: str(tmp_path / text), lambda secret: secret.reveal()).log(settings)
    mine = AuditLog(
        [tmp_path / "audit", more := JsonlDirectory(tmp_path / "more", rotate_seconds=43_200, compress=True)],
        required=[tmp_path / "audit"],
        min_success=1,
        level="masked",
        emergency=tmp_path / "spare",
        signer=Ed25519Signer(tmp_path / "signing.pem", name="shop"),
        anchors=[
            DirectoryAnchor(tmp_path / "anchor"),
            HttpAnchor("https://example.com/notes", headers={"Authorization": KEY}, timeout_seconds=0.5),
            SyslogAnchor("/dev/log"),
            SyslogAnchor(("log.example.com", 514), transport="udp"),
        ],
        checkpoint_every=500,
        anchor_grace_seconds=90,
        checkpoint_seconds=120,
        bounds=Bounds(in_flight=5),
        deadline_seconds=1,
        keys=keys,
    )
    assert facts(theirs) == facts(mine)
    assert more.folder == tmp_path / "more"


def facts(value: Any, depth: int = 6) -> object:
    """What an object is made of, without locks, threads and functions."""
    if isinstance(value, str | int | float | bool | bytes | Path | None):
        return value
    if isinstance(value, dict):
        return {str(key): facts(one, depth - 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [facts(one, depth - 1) for one in value]
    if not type(value).__module__.startswith("guardrails.") or callable(value) or depth < 0:
        return type(value).__name__
    named = {name: getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
    changing = {"since", "_clock", "event_ids", "_event_ids", "_stream", "_keys", "_digests", "_aggregate_id"}
    kept = {**named, **getattr(value, "__dict__", {})}
    return type(value).__name__, {name: facts(one, depth - 1) for name, one in kept.items() if name not in changing}


def test_secrets_of_digests_are_kept_where_the_policy_says(write: Write, tmp_path: Path) -> None:
    path = write(
        'version: 1\nplatform: {keys: {master: ["${GUARDRAILS_KEY}"], epochs: {folder: epochs, days: 7}},'
        " audit: {folder: audit, durability: os}}\n"
    )
    guard = from_policy(path, channel="sms")
    guard.wrap(RecordingSend())(ANN, "hello")
    guard.close()
    assert list((tmp_path / "epochs").rglob("*.salt"))


def test_values_of_people_and_the_keys_to_them_are_kept_apart_where_the_policy_says_so(
    write: Write, tmp_path: Path
) -> None:
    path = write(
        'version: 1\nplatform: {stores: {vault: {url: "sqlite:///values.db", keys_in: "sqlite:///keys.db", keep: 1d}},'
        " mask: {names: off, operators: {EMAIL_ADDRESS: pseudonym}}}\n"
    )
    guard = from_policy(path, channel="sms")
    guard.wrap(RecordingSend())(ANN, "write to ann@example.com")
    guard.close()
    assert (tmp_path / "values.db").exists()
    assert (tmp_path / "keys.db").exists()
    [problem] = problems(
        "version: 1\nplatform: {stores: {vault: {url: 'memory://', timeout: 1s}, limits: {url: 'memory://', replicas: 2}}}\n"
    )
    assert problem == (
        "p.yaml:2:47: platform.stores.vault.timeout: there is no such setting; there are keep, keys_in, most_values, "
        "plaintext_hosts, url"
    )


# -- personal data ---------------------------------------------------------------------------------------------------------

TEXTS = (
    "NHS 943 476 5919, Aadhaar 2345 6789 0124",
    "the Falcon flies to Projekt Blau, order AB-123456 and AB-654321",
    "call +1 212 555 0173 or +1 212 555 0100, ann@example.com, ext 5",
)


def masks() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "countries: [uk, in]", {"countries": ["uk", "in"]}
    yield "deny: [Falcon]", {"deny": ["Falcon"]}
    yield (
        "deny: {PROJECT: [Falcon, Blau]}, operators: {PROJECT: redact}",
        {
            "deny": {"PROJECT": ["Falcon", "Blau"]},
            "operators": {"PROJECT": "redact"},
        },
    )
    yield (
        "allow: [ann@example.com], allow_patterns: ['\\+1 212 555 01\\d\\d']",
        {"allow": ["ann@example.com", re.compile(r"\+1 212 555 01\d\d")]},
    )
    yield "languages: [en, de]", {"languages": ["en", "de"]}
    yield "language: en, cache: 0", {"language": "en", "cache": 0}


@pytest.mark.parametrize(("settings", "arguments"), list(masks()), ids=lambda one: str(one)[:40])
def test_a_mask_from_a_policy_equals_the_same_mask_written_in_python(
    write: Write, settings: str, arguments: dict[str, Any]
) -> None:
    guard = from_policy(write(f"version: 1\nplatform: {{mask: {{names: off, {settings}}}}}\n"))
    mine = MaskPII(names="off", **arguments)
    assert [guard.preview(text).text for text in TEXTS] == [mine.mask(text)[0] for text in TEXTS]


def test_recognizers_and_engines_from_files_are_named_in_a_policy(write: Write, tmp_path: Path) -> None:
    (tmp_path / "orders.yaml").write_text(
        "recognizers:\n- name: orders\n  supported_entity: ORDER\n  supported_language: en\n"
        "  patterns: [{name: order, regex: '[A-Z]{2}-[0-9]{6}', score: 0.8}]\n",
        encoding="utf-8",
    )
    path = write(
        "version: 1\nplatform: {mask: {names: off, recognizers: [orders.yaml], operators: {ORDER: redact}}}\n"
        "examples: [{in: order AB-123456, out: 'order ', findings: [ORDER]}]\n"
    )
    from_policy(path)


def test_limits_are_refused_with_words_of_their_own_and_waits_may_be_forbidden_below(write: Write) -> None:
    path = write(
        """\
        version: 1
        platform: {limits: {slow: {rate: 1/hour, wait: 30m}}, concurrency: {one: {amount: 1, wait: 10s}}}
        tenants: {acme: {limits: {slow: {wait: 0s}}, concurrency: {one: {wait: 0s}}}}
        """
    )
    send = from_policy(path, channel="sms").wrap(lambda to, body, tenant: "sent")
    assert send(ANN, "hello", tenant="acme") == "sent"
    with pytest.raises(RateLimited, match="slow"):
        send(ANN, "hello", tenant="acme")
    limit = RateLimit(Limit("1/hour", name="slow"))
    assert limit.limits[0].wait is None
    assert SqliteSink("x.db").path == Path("x.db")
