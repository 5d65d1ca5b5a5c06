"""The one collection of tables, which `schema.py` fills. Holds no table itself."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
