"""Real servers and stand-in bases for the end-to-end tests; everything listens on loopback."""
