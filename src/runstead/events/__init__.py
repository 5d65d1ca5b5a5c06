"""The log: everything that a run says, numbered, kept, and read by any number of readers from any number on."""
