"""Run migrations on the connection that ``federation.store.schema`` opened."""

from alembic import context

from federation.store.source_tables import sources

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=sources.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
