"""Measurements of whole servers: how they are made and what they gave. Never run by the tests: numbers are no assertions."""
