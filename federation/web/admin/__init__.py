"""The console of an administrator: what the commands of ``federation`` do, as pages."""
