"""What a policy says about people's peace: hours, caps by their calendar, how many of them, and how many sends at once."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from guardrails.policy.order import Caps, Fewer, Lower, More, MoreOrAll, QuietTimes, Ranked, Windows
from guardrails.policy.setting import Mode, Settings, says
from guardrails.policy.values import CapText, Duration, FunctionText, Times, WindowText
from guardrails.policy.words import MODE, MODE_SAYS, Count, Text

_CLASSES: Final = "message classes that it holds for; left out: all. Messages without a class are held in any case"
_EXEMPT: Final = "message classes that go out all the same; each is recorded"
_REGION: Final = 'country of numbers in national spelling, such as "US"'
_OPAQUE: Final = "whether recipients that are no address are taken as they are"
_SCOPE: Final = "whether tenants are counted separately"
_ZONE: Final = (
    "whose clock: an IANA name for everybody, or `package.module:name` of a function of the address; "
    "left out: the zones of the number's area"
)
CLASS_SAYS: Final = "`package.module:name` of a function of the message that says its class"
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Scope = Literal["tenant", "global"]


class QuietHours(Settings):
    """Hours in which nothing is sent, by the recipient's clock: `QuietHours`."""

    hours: Annotated[Times | None, QuietTimes()] = says('such as "21:00-08:00"', required=True)
    zone: Text | None = says(_ZONE)
    unknown: Annotated[list[Text] | None, MoreOrAll()] = says(
        "zones in which recipients of whom nothing is known may be; left out: they are refused", otherwise=[]
    )
    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None, More()] = says(
        "on which the hours begin", otherwise=list(_DAYS), default="all"
    )
    classes: Annotated[list[Text] | None, MoreOrAll()] = says(_CLASSES, otherwise=[])
    exempt: Annotated[list[Text] | None, Fewer()] = says(_EXEMPT, otherwise=[])
    message_class: FunctionText | None = says(CLASS_SAYS)
    region: Text | None = says(_REGION)
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")


class PersonCap(Settings):
    """Messages to a person by calendar day, week or month: `Cap`."""

    rate: Annotated[CapText | None, Caps()] = says('"3/day", "10/week" or "20/month"', required=True)
    per: Text | list[Text] | None = says("what is counted separately: a role, or several", otherwise="recipient")
    zone: Text | None = says(_ZONE)
    unknown: Annotated[list[Text] | None, MoreOrAll()] = says(
        "zones in which recipients of whom nothing is known may be; left out: any 25 hours are a day for them", otherwise=[]
    )
    scope: Scope | None = says(_SCOPE, otherwise="tenant")
    classes: Annotated[list[Text] | None, MoreOrAll()] = says(_CLASSES, otherwise=[])
    exempt: Annotated[list[Text] | None, Fewer()] = says(_EXEMPT, otherwise=[])
    message_class: FunctionText | None = says(CLASS_SAYS)
    region: Text | None = says(_REGION)
    opaque_ids: Annotated[bool | None, Ranked(True, False)] = says(_OPAQUE, otherwise=False)  # noqa: FBT003 - in their order
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")


class UniqueRecipients(Settings):
    """How many different people are reached in a moving window: `UniqueRecipients`."""

    amount: Annotated[Count | None, Lower()] = says("people", required=True)
    window: Annotated[WindowText | None, Windows()] = says('such as "24h" or "7 days"', required=True)
    per: Text | list[Text] | None = says('for whom they are counted, such as "sender"; left out: for all together')
    scope: Scope | None = says(_SCOPE, otherwise="tenant")
    classes: Annotated[list[Text] | None, MoreOrAll()] = says(_CLASSES, otherwise=[])
    exempt: Annotated[list[Text] | None, Fewer()] = says(_EXEMPT, otherwise=[])
    message_class: FunctionText | None = says(CLASS_SAYS)
    region: Text | None = says(_REGION)
    opaque_ids: Annotated[bool | None, Ranked(True, False)] = says(_OPAQUE, otherwise=False)  # noqa: FBT003 - in their order
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")


class Concurrency(Settings):
    """Sends that run at once: `Concurrency`. Leases are kept where limits are."""

    amount: Annotated[Count | None, Lower()] = says("sends at once", required=True)
    per: Text | list[Text] | None = says("what is counted separately: a role, or several")
    lease: Duration | None = says(
        "when a lease in a store is over whose process says nothing more; whole seconds", otherwise=60.0, default="60s"
    )
    scope: Scope | None = says(_SCOPE, otherwise="tenant")
    protects: Literal["people", "provider"] | None = says(
        "what happens while a shared store does not answer", otherwise="people"
    )
    wait: Annotated[Duration | None, Lower()] = says(
        "how long a send may wait for another one to end", otherwise=0.0, default="0s"
    )
    mode: Annotated[Mode | None, MODE] = says(MODE_SAYS, otherwise="enforce")
