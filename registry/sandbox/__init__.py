"""Registries for the demo and the tests: one in memory, and a double of Harbor in front of it.

Nothing in here is for production; see memory.py and harbor/.
"""
