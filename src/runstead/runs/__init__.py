"""From a message to a run, and how a client waits for it and ends it. Knows no HTTP, and not how runs are executed."""
