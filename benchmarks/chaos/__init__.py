"""Chaos: clients start and follow runs while processes, Redis and PostgreSQL are killed and stalled; then all is checked."""
