"""
What a policy file may say. Everything below the platform has the same settings as the platform, and may only tighten them.

Each setting says in its type which way is tighter (`order.py`); a setting without an order cannot be changed below the
platform. The reference page and the JSON Schema are generated from here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from guardrails.policy.model_audit import Anchor, Audit, Bounds, Recording, Signing, Sink
from guardrails.policy.model_mask import Mask
from guardrails.policy.model_people import CLASS_SAYS, Concurrency, PersonCap, QuietHours, UniqueRecipients
from guardrails.policy.model_stores import LimitStore, OptOutStore, PeopleStore, Store, Stores, VaultStore
from guardrails.policy.order import LOOSER, UNRELATED, Fewer, Lower, Ranked, Rates, Relation
from guardrails.policy.secret import Secret
from guardrails.policy.setting import Mode, Settings, says
from guardrails.policy.values import Duration, FunctionText, InstantText, RateText
from guardrails.policy.words import MODE, MODE_SAYS, Count, Entity, Length, Name, PathText, Text, Version

__all__ = [
    "Anchor",
    "Audit",
    "Bounds",
    "Bypassable",
    "Caps",
    "Check",
    "Concurrency",
    "Defaults",
    "Epochs",
    "Example",
    "Keys",
    "Layer",
    "Limit",
    "LimitStore",
    "Mask",
    "OptOutStore",
    "PeopleStore",
    "PersonCap",
    "Platform",
    "PolicyFile",
    "Quarantine",
    "QuietHours",
    "Recording",
    "Signing",
    "Sink",
    "Store",
    "Stores",
    "Suppression",
    "Switches",
    "Team",
    "UniqueRecipients",
    "VaultStore",
]

VERSION: Final = 1


class Epochs(Settings):
    """Secrets of the audit log's digests, one for each tenant and epoch: `Epochs`."""

    added: ClassVar[Relation | None] = UNRELATED
    folder: PathText | None = says("where they are kept; never the audit folder", required=True)
    days: Count | None = says("length of an epoch", otherwise=30)


class Keys(Settings):
    """The master key. Left out: `GUARDRAILS_KEY`, or the key file of this machine."""

    added: ClassVar[Relation | None] = UNRELATED
    master: list[Secret] | None = says(
        "`${NAME}` or `{file: PATH}`, newest first; a file may hold several, one a line", required=True
    )
    epochs: Epochs | None = says("secrets of the audit log's digests that can be destroyed")


class Limit(Settings):
    """One limit: `Limit`. Below the platform a limit of the platform's takes a lower rate; others are added."""

    rate: Annotated[RateText | None, Rates()] = says('such as "5/minute"', required=True)
    per: Text | list[Text] | None = says(
        "what is counted separately: a role, or several; or `package.module:name` of a function of the message"
    )
    strategy: Literal["moving-window", "fixed-window", "sliding-window-counter"] | None = says(
        "how a window is counted", otherwise="moving-window"
    )
    scope: Literal["tenant", "global"] | None = says("whether tenants are counted separately", otherwise="tenant")
    cost: Count | Literal["segments", "tokens"] | FunctionText | None = says(
        'units that one send takes: a number, "segments", "tokens", or `package.module:name` of a function of the message',
        otherwise=1,
    )
    tokenizer: FunctionText | None = says("with `cost: tokens`: `package.module:name` of what counts them exactly")
    protects: Literal["people", "provider"] | None = says(
        "what happens while a shared store does not answer", otherwise="people"
    )
    wait: Annotated[Duration | None, Lower()] = says("how long a send may wait for room", otherwise=0.0, default="0s")
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")


class Suppression(Settings):
    """People who have opted out get nothing: `Suppression`."""

    region: Text | None = says('country of numbers in national spelling, such as "US"')
    opaque_ids: Annotated[bool | None, Ranked(True, False)] = says(  # noqa: FBT003 - values in their order
        "whether recipients that are no address are taken as they are", otherwise=False
    )
    exempt: Annotated[list[Text] | None, Fewer()] = says("message classes that go out all the same", otherwise=[])
    message_class: FunctionText | None = says(CLASS_SAYS)
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")


class Check(Settings):
    """A control of your own: `@check`, a class, or an entry point of the group `guardrails.controls`."""

    use: Text | None = says("an entry point's name, or `package.module:name`", required=True)
    settings: dict[str, Any] | None = says("for the control; read by its own `Settings` model")
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")
    deadline: Annotated[Length | None, Lower()] = says(
        "a control that takes longer refuses the message", otherwise=5.0, default="5s"
    )
    before_mask: bool | None = says("platform only: sees text before it is masked", otherwise=False)


class Caps(Settings):
    """Bounds on one message: `Caps`."""

    added: ClassVar[Relation | None] = None
    text_characters: Count | None = says("all text parts together", otherwise=262_144)
    parts: Count | None = says("text parts", otherwise=1_000)
    depth: Count | None = says("nesting of a payload", otherwise=32)
    values: Count | None = says("values of any type", otherwise=10_000)
    recipients: Count | None = says("recipients", otherwise=1_000)
    argument_characters: Count | None = says("strings in arguments that no selector names, together", otherwise=16_777_216)
    argument_stream_characters: Count | None = says("a text argument that is an iterator", otherwise=65_536)
    id_characters: Count | None = says("conversation, tenant, actor, key; each", otherwise=1_024)
    notes: Count | None = says("notes of controls", otherwise=256)
    steps: Count | None = says("door steps", otherwise=256)


class Bypassable(Settings):
    """That a control may be bypassed by a switch."""

    added: ClassVar[Relation | None] = LOOSER
    longest: Length | None = says("for how long at most", required=True)


class Switches(Settings):
    """Where switches come from, and whose signatures count."""

    file: PathText | None = says("a file that every process can read; this, or `url`")
    url: Secret | None = says("a Redis or Valkey server; this, or `file`")
    key: Text | None = says("the server's key that holds them", otherwise="guardrails:switches")
    plaintext_hosts: list[Text] | None = says("hosts other than loopback that may be asked without TLS")
    operators: dict[Name, Text] | None = says("name to public key (`guardrails keys new operator`)", required=True)


class Quarantine(Settings):
    """When guardrails that cannot be trusted block everything on a channel, or of a tenant, until somebody lifts that."""

    seal_hits: Count | None = says("so many messages that only the seal stopped, `within` this time, block", otherwise=3)
    within: Duration | None = says("the window of `seal_hits`", otherwise=60.0, default="60s")
    per: Literal["channel", "tenant"] | None = says(
        "what `seal_hits` are counted for and block; messages without a tenant count for their channel", otherwise="channel"
    )
    canary: bool | None = says("whether a failed round of canaries blocks the channels of what failed", otherwise=True)
    operator: Name | None = says(
        "one of `switches.operators`, in whose name a block goes to every process; it can do nothing else. "
        "Left out, a block holds in its process"
    )
    key_file: PathText | None = says("that operator's private key (`guardrails keys new operator`)")


class Layer(Settings):
    """What a channel or a tenant tightens and adds."""

    audit: Recording | None = says("how its messages are recorded")
    suppression: Suppression | None = says("people who have opted out")
    quiet_hours: dict[Name, QuietHours] | None = says("hours in which nothing is sent, by name")
    person_caps: dict[Name, PersonCap] | None = says("messages to a person by calendar, by name")
    unique_recipients: dict[Name, UniqueRecipients] | None = says("how many different people, by name")
    limits: dict[Name, Limit] | None = says("limits by name")
    refund_on: Annotated[list[Text] | None, Fewer()] = says(
        "errors that prove that nothing was sent, so that limits are given back: names of Python's own, or `package.module:Name`",
        otherwise=[],
    )
    concurrency: dict[Name, Concurrency] | None = says("sends at once, by name")
    mask: Mask | None = says("personal data")
    checks: dict[Name, Check] | None = says("controls of your own by name, in their order")


class Team(Layer):
    """What a team tightens and adds. Its own limits and checks stand inside the platform's."""


class Defaults(Settings):
    """What holds where a setting of that name is left out, in everything that the platform or a layer adds."""

    added: ClassVar[Relation | None] = None
    channel: Name | None = says("of messages whose guard and decoration name none", otherwise="other")
    mode: Annotated[Mode | None, MODE] = says("of controls", otherwise="enforce")
    region: Text | None = says("of rules for people")
    zone: Text | None = says("of rules by the calendar")
    deadline: Length | None = says("of checks", otherwise=5.0, default="5s")


class Platform(Layer):
    """The platform's controls, in the order in which they stand; and what only the platform says."""

    keys: Keys | None = says("the master key")
    audit: Audit | None = says("the audit log")
    stores: Stores | None = says("where counters, opt-outs and tokens are kept")
    caps: Caps | None = says("bounds on one message")
    defaults: Defaults | None = says("what holds where the platform or a layer adds something and leaves a setting out")
    strict: bool | None = says("whether values that are not text are refused", otherwise=False)
    production: bool | None = says("whether set-ups that are only fit for development are refused", otherwise=False)
    switches: Switches | None = says("where switches come from")
    quarantine: Quarantine | None = says("what blocks by itself; needs `switches`, which lift it")
    canary_every: Duration | None = says(
        "how often canaries try every guard of the policy; 60s where there is a `quarantine`"
    )
    bypassable: dict[Name, Bypassable] | None = says("controls that a switch may bypass, by the name in records")


class Example(Settings):
    """
    A test in the policy: what happens to a text.

    At least one of `out`, `denied_by` and `findings` says what is expected.
    """

    name: Text | None = says("how reports call it")
    in_: Annotated[str | None, StringConstraints(max_length=65_536)] = Field(
        default=None, alias="in", description="the text", json_schema_extra={"default": None}
    )
    channel: Name | None = says("on which channel")
    tenant: Text | None = says("of which tenant")
    team: Name | None = says("sent by which team")
    recipient: Text | None = says("to whom")
    sender: Text | None = says("from whom")
    conversation: Text | None = says("in which conversation")
    actor: Text | None = says("by whom")
    direction: Literal["outbound", "inbound"] | None = says("which way", otherwise="outbound")
    message_class: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] | None = says(
        'of which class, such as "otp"'
    )
    at: InstantText | None = says(
        'at which time, such as "2026-03-02T22:30+01:00"; left out: at a time that is in nobody\'s quiet hours'
    )
    out: Annotated[str | None, StringConstraints(max_length=65_536)] = says("the text that would go out")
    denied_by: Text | None = says("the control that refuses it")
    findings: list[Entity] | dict[Entity, Annotated[int, Field(ge=0)]] | None = says(
        "what is found: names, or names and counts"
    )


class PolicyFile(Settings):
    """A policy file."""

    version: Version | None = says("of this format: 1", required=True)
    platform: Platform | None = says("what holds for every message", required=True)
    channels: dict[Name, Layer] | None = says("what is tightened on a channel")
    tenants: dict[Text, Layer] | None = says("what is tightened for a tenant")
    teams: dict[Name, Team] | None = says("what a team tightens and adds")
    examples: list[Example] | None = says("tests of this policy")
