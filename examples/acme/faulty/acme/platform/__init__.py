"""The platform team: one guard a channel."""
