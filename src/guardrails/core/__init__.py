"""The core: one control contract for every shape of send. Standard library only."""
