"""Archival memory at work: what a search finds, and how passages get their vectors."""
