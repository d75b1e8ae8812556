"""Security checks broken on purpose, one at a time: each must turn a test red (``make mutants``)."""
