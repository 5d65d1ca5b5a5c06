"""Telling the outside that a run ended: from the outbox, as often as it takes."""
