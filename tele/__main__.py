"""`python -m tele`: the command line."""

from tele.cli import main

main()
