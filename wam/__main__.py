"""``python -m wam``."""

from wam.cli import main

main()
