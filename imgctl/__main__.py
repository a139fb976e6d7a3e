"""`python -m imgctl`."""

from imgctl.cli import main

main()
