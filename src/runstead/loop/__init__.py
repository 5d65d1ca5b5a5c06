"""From a claimed run to its end: steps, each one model call and the tools it asks for. Knows no HTTP and no SQL."""
