"""Measurements of whole servers: how they are made and what they gave. Numbers are no assertions: tests use `chaos` only."""
