"""The commands of agents, one a file. Public API only."""
