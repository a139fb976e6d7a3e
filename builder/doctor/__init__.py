"""Whether this machine can build and push: everything looked at, each with its remedy.

Start at `examine.examine`. Each module gathers facts of one kind, and judges them in a function
of its own that touches nothing.
"""
