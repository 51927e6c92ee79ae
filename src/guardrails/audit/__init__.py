"""
The audit log: every send on record, its intent before the message goes out, and a chain that shows changes.

    AuditLog("audit/")                     the control
    verify_directory("audit/").exit_code   whether what lies there holds together
    read_records("audit/")                 the records, as dicts
"""

from guardrails.audit.anchors import Anchor, DirectoryAnchor
from guardrails.audit.bounds import Bounds
from guardrails.audit.control import AuditLog
from guardrails.audit.files import JsonlDirectory
from guardrails.audit.note import Ed25519Signer, Signer, verifier_key
from guardrails.audit.reading import intents, read_records
from guardrails.audit.report import Report, StreamReport
from guardrails.audit.sink import Sink
from guardrails.audit.verify import verify_directory

__all__ = [
    "Anchor",
    "AuditLog",
    "Bounds",
    "DirectoryAnchor",
    "Ed25519Signer",
    "JsonlDirectory",
    "Report",
    "Signer",
    "Sink",
    "StreamReport",
    "intents",
    "read_records",
    "verifier_key",
    "verify_directory",
]
