"""The sample conversation of the demo."""
