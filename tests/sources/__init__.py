"""Sources of records: the merge, runs, commands."""
