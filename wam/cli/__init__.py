"""The command line: parse, call the library, print. One module per command."""

from wam.cli.app import app, main

__all__ = ["app", "main"]
