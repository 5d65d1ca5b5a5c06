"""The web page: its files and how they are served. The page itself speaks the public API and nothing else."""
