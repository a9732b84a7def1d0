"""Real servers on loopback ports for the tests: classes with start, stop, kill, restart."""
