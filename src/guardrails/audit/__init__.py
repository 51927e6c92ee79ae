"""
The audit log: every send on record, its intent before the message goes out, and a chain that shows changes.

    AuditLog("audit/")                     the control
    verify_directory("audit/").exit_code   whether what lies there holds together
    read_records("audit/")                 the records, as dicts
"""

from guardrails.audit.bounds import Bounds
from guardrails.audit.control import AuditLog
from guardrails.audit.files import JsonlDirectory
from guardrails.audit.reading import intents, read_records
from guardrails.audit.report import Report, StreamReport
from guardrails.audit.sink import Sink
from guardrails.audit.verify import verify_directory

__all__ = [
    "AuditLog",
    "Bounds",
    "JsonlDirectory",
    "Report",
    "Sink",
    "StreamReport",
    "intents",
    "read_records",
    "verify_directory",
]
