"""The commands of the database, one a file. SQL is `store/upkeep.py`."""
