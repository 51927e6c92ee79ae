"""A Redis or Valkey server: its address, read strictly, and connections that are bounded and give up in time."""

from __future__ import annotations
