"""Steps of the database's schema, forwards only: expand, deploy, contract."""
