"""
What several processes share: a Redis or Valkey server, or a SQLite file.

Addresses are read strictly; connections are bounded, give up in time, and are never shared across a fork.
"""

from __future__ import annotations
