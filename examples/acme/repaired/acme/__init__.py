"""Acme: a platform team, three product teams, five channels."""
