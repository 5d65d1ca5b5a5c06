"""Where this server connects to on the word of others, and how: addresses are looked at, and what was looked at is asked."""
