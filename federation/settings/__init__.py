"""Settings, from the environment (``FEDERATION_*``) and the command line."""
