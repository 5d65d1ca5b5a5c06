"""The tables of what actors bring from outside, a part of `schema.py`: servers of tools, and providers of models."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from runstead.store.metadata import metadata

# `sealed` is what its owner must not be answered: tokens, headers' and variables' values.
mcp_servers = Table(
    "mcp_servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("transport", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("document", Text, nullable=False),
    Index("mcp_servers_by_name", "user_id", "name", unique=True),
)

# Providers of models that actors brought. The key is sealed; the document holds what the provider's list said.
providers = Table(
    "providers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("provider_type", Text, nullable=False),
    Column("base_url", Text),
    Column("sealed_key", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_synced", BigInteger),
    Column("document", Text, nullable=False),
    Index("providers_by_user", "user_id", "created_at", "id"),
    Index("providers_by_name", "user_id", "name", unique=True),
)
