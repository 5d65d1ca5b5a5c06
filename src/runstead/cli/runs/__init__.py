"""The commands of runs, one a file. Public API only."""
