"""What agents can do: the tools that ship, and how a call of one is run. User code is never run in this process."""
