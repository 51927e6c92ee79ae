"""Finding names of people and places: a small model, and what is needed to use it."""
