"""Tools that ship with Runstead and run in its process."""
