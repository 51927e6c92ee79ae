"""
Fakes for testing controls and guarded sends: no network, no clock, no disk.

    send = RecordingSend(shape="async")
    safe = Guard(my_control, channel="sms").wrap(send)
    ...
    assert_never_sent(send)

`try_control` tries one control by itself, under the same contract that a guard holds it to.
"""

from __future__ import annotations

from guardrails.testing.io import FakeIo
from guardrails.testing.sends import RecordingSend, SendShape, Sent, assert_never_sent
from guardrails.testing.sink import CapturingSink
from guardrails.testing.trial import Trial, atry_control, try_control

__all__ = [
    "CapturingSink",
    "FakeIo",
    "RecordingSend",
    "SendShape",
    "Sent",
    "Trial",
    "assert_never_sent",
    "atry_control",
    "try_control",
]
