"""
The audit log: every send on record, its intent before the message goes out, and a chain that shows changes.

    AuditLog("audit/")                     the control
    verify_directory("audit/").exit_code   whether what lies there holds together
    read_records("audit/")                 the records, as dicts
"""

from guardrails.audit.anchors import Anchor, DirectoryAnchor, HttpAnchor, ObjectAnchor, ObjectStore, SyslogAnchor
from guardrails.audit.bounds import Bounds
from guardrails.audit.control import AuditLog
from guardrails.audit.files import JsonlDirectory
from guardrails.audit.finding import Finding
from guardrails.audit.found import Expired, Found, Unclosed
from guardrails.audit.note import Ed25519Signer, Signer, verifier_key
from guardrails.audit.postgres_sink import PostgresSink
from guardrails.audit.reading import intents, read_records
from guardrails.audit.report import Report, StreamReport
from guardrails.audit.sink import Readable, Retaining, Rotating, Sink, Telling
from guardrails.audit.sqlite_sink import SqliteSink
from guardrails.audit.stream_sink import StreamSink
from guardrails.audit.streams_out import write_streams
from guardrails.audit.verify import verify_directory

__all__ = [
    "Anchor",
    "AuditLog",
    "Bounds",
    "DirectoryAnchor",
    "Ed25519Signer",
    "Expired",
    "Finding",
    "Found",
    "HttpAnchor",
    "JsonlDirectory",
    "ObjectAnchor",
    "ObjectStore",
    "PostgresSink",
    "Readable",
    "Report",
    "Retaining",
    "Rotating",
    "Signer",
    "Sink",
    "SqliteSink",
    "StreamReport",
    "StreamSink",
    "SyslogAnchor",
    "Telling",
    "Unclosed",
    "intents",
    "read_records",
    "verifier_key",
    "verify_directory",
    "write_streams",
]
