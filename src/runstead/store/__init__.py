"""The store: the only SQL, and the only transactions. Queries are plain functions of a connection; `Database` runs them."""
