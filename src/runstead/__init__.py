"""Runstead: a self-hosted home for AI agents' runs."""

__version__ = "0.1.0"
