"""The command line."""

from mathwright.cli.verbs import main

__all__ = ["main"]
