"""What a policy says about the audit log, its sinks and its anchors."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from guardrails.policy.order import Lower, Ranked, Relation
from guardrails.policy.secret import Secret
from guardrails.policy.setting import Settings, says
from guardrails.policy.values import Duration
from guardrails.policy.words import Count, Length, Name, PathText, Text


class Signing(Settings):
    """Who signs checkpoints of the audit log."""

    key_file: PathText | None = says("an Ed25519 key in PEM (`guardrails keys new signing`)", required=True)
    name: Text | None = says("the key's name in signature lines", required=True)


class Anchor(Settings):
    """Where checkpoints are kept, out of the reach of who could change the log: one of `folder`, `http` and `syslog`."""

    folder: PathText | None = says("`DirectoryAnchor`; a text alone is a folder")
    http: Secret | None = says("`HttpAnchor`: the address of a witness")
    authorization: Secret | None = says("with `http`: the header of that name")
    timeout: Length | None = says("with `http`: how long the whole answer may take", otherwise=1.0, default="1s")
    syslog: Text | None = says('`SyslogAnchor`: a local socket such as "/dev/log", or "HOST:PORT"')
    transport: Literal["unix", "tcp", "udp"] | None = says(
        "with `syslog`: udp may lose a line unseen; left out: unix for a socket, tcp for a host"
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text is the folder."""
        return core_schema.no_info_before_validator_function(
            lambda value: {"folder": value} if isinstance(value, str) else value, handler(source)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A text, or settings."""
        found = handler(schema)
        return found if "anyOf" in found else {"anyOf": [{"type": "string"}, found]}  # asked once for each layer of it


class Sink(Settings):
    """Where the whole log is written too: one of `folder`, `sqlite` and `postgres`."""

    folder: PathText | None = says("a folder for JSONL files: `JsonlDirectory`")
    rotate_bytes: Count | None = says("with `folder`: a stream of this size is closed", otherwise=268_435_456)
    rotate: Duration | None = says("with `folder`: a stream of this age is closed", otherwise=86_400.0, default="24h")
    compress: bool | None = says("with `folder`: whether closed streams are compressed", otherwise=False)
    keep_days: Count | None = says("with `folder`: when a stream is removed; left out: never")
    sqlite: PathText | None = says("a database file: `SqliteSink`")
    postgres: Secret | None = says("a connection string of libpq: `PostgresSink`")
    table: Text | None = says("with `postgres`: where the lines go", otherwise="guardrails_audit")
    required: Annotated[bool | None, Ranked(False, True)] = says(  # noqa: FBT003 - values in their order
        "whether it must take each record, or nothing is sent", otherwise=True
    )


class Bounds(Settings):
    """How much the audit log may hold and write: `guardrails.audit.bounds.Bounds`."""

    added: ClassVar[Relation | None] = None
    record_bytes: Count | None = says("one line", otherwise=16_384)
    in_flight: Count | None = says("sends whose outcome is not on record yet", otherwise=10_000)
    batch_records: Count | None = says("records in one write", otherwise=1_024)
    decisions_waiting: Count | None = says("refusals that wait to be written", otherwise=1_000)
    decisions_burst: Count | None = says(
        "refusals with records of their own before they are counted together", otherwise=1_000
    )
    decisions_per_second: Count | None = says("refusals a second with records of their own, after the burst", otherwise=10)
    aggregate_seconds: Count | None = says("how often refusals that are counted together are written", otherwise=10)
    aggregate_keys: Count | None = says("kinds of refusals that are counted apart", otherwise=32)
    recipients: Count | None = says("recipients listed in one record; further ones are counted", otherwise=50)
    message_keys: Count | None = says("message keys whose attempts are numbered", otherwise=10_000)
    cached_digests: Count | None = says("keyed digests of recipients that are remembered", otherwise=4_096)


class Recording(Settings):
    """What a channel, tenant or team tightens of the audit log: its messages are recorded in more places, or more durably."""

    durability: Annotated[Literal["os", "fsync"] | None, Ranked("os", "fsync")] = says(
        "whether an intent is on stable storage before the send", otherwise="fsync"
    )
    deadline: Annotated[Length | None, Lower()] = says(
        "an intent that takes longer refuses the send", otherwise=2.0, default="2s"
    )
    sinks: dict[Name, Sink] | None = says("further places for the whole log, by name; below the platform more")


class Audit(Recording):
    """The audit log: `AuditLog`."""

    folder: PathText | None = says("a folder for JSONL files; this, or `sinks`, or both")
    min_success: Count | None = says("how many places must take each record, required or not", otherwise=1)
    level: Literal["metadata", "masked"] | None = says(
        '"masked": also the masked text of each message', otherwise="metadata"
    )
    emergency: PathText | None = says(
        'a reserved folder: a message of the class "emergency" that the log cannot record goes out on this record'
    )
    signer: Signing | None = says("signs checkpoints; goes with `anchors`")
    anchors: list[Anchor] | None = says("where checkpoints are kept")
    checkpoint_every: Count | None = says("records between two checkpoints", otherwise=1_000)
    checkpoint_within: Duration | None = says(
        "time between two checkpoints, also when nothing is sent", otherwise=300.0, default="5m"
    )
    anchor_grace: Duration | None = says(
        "how long sends go on when an anchor does not take a checkpoint", otherwise=300.0, default="5m"
    )
    bounds: Bounds | None = says("how much it may hold and write")
