"""How well personal data is found in texts whose personal data is known."""
