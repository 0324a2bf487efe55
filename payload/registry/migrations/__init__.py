"""What changed in the tables of the registry from version to version, for Alembic."""
