"""Switches: block all sends, or bypass one control for a while; signed, scoped, expiring, live."""
