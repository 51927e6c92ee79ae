"""Support: calls, and what follows them."""
