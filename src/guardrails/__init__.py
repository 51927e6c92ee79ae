"""One guard around every function that sends a message: PII masking, rate limiting, audit logging."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
