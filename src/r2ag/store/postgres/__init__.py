"""A store in PostgreSQL with pgvector: a schema of a database."""
