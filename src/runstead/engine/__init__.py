"""Durability: who works on which run, and what becomes of runs whose owner is gone. Knows leases, not models."""
