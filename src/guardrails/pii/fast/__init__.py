"""The same findings as Presidio's recognizers, with less work."""
