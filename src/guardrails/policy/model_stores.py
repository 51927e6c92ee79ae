"""What a policy says about where counters, opt-outs and tokens are kept."""

from __future__ import annotations

from typing import ClassVar

from guardrails.policy.order import UNRELATED, Relation
from guardrails.policy.secret import Secret
from guardrails.policy.setting import Settings, says
from guardrails.policy.values import Duration
from guardrails.policy.words import Count, Text


class Store(Settings):
    """Where something is kept."""

    added: ClassVar[Relation | None] = UNRELATED

    url: Secret | None = says('"memory://", "sqlite:///PATH", "redis://...", or `${NAME}`', required=True)
    plaintext_hosts: list[Text] | None = says("hosts other than loopback that may be asked without TLS")


class OptOutStore(Store):
    """People who have opted out."""

    timeout: Duration | None = says("how long one question to a server may take", otherwise=0.9, default="900ms")
    most_connections: Count | None = says("connections to it at once", otherwise=4)


class PeopleStore(OptOutStore):
    """Rows of rules that count people."""

    most_keys: Count | None = says("counters kept at once in memory", otherwise=200_000)


class LimitStore(Store):
    """Counters of limits, and leases."""

    url: Secret | None = says('"memory://", "redis://...", or `${NAME}`; no file', required=True)
    timeout: Duration | None = says("how long one question to a server may take", otherwise=1.0, default="1s")
    most_connections: Count | None = says("connections to it at once", otherwise=8)
    most_keys: Count | None = says("counters kept at once in memory", otherwise=200_000)
    replicas: Count | None = says("how many processes share it; needed by limits that protect a provider")


class VaultStore(Store):
    """Values behind tokens."""

    keep: Duration | None = says("how long a value is kept after it was last masked", otherwise=2_592_000.0, default="30d")
    most_values: Count | None = says("values of one subject", otherwise=10_000)
    keys_in: Secret | None = says(
        "another store, for the subjects' keys: what is forgotten there no backup of values can tell"
    )


class Stores(Settings):
    """Stores by what they are for; `memory://` where one is left out."""

    added: ClassVar[Relation | None] = None

    limits: LimitStore | None = says("counters of limits, and leases of `concurrency`")
    suppression: OptOutStore | None = says("people who have opted out")
    people: PeopleStore | None = says("rows of `person_caps` and `unique_recipients`")
    vault: VaultStore | None = says("values behind tokens; needed by the operator `pseudonym` and by `own`")
