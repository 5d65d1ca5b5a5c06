"""What things are: frozen dataclasses, enums and pure functions. No I/O, no async, no pydantic."""
