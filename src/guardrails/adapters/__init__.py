"""What integrations share: reading payloads, streams of events, and what a missing or wrong host is told."""
