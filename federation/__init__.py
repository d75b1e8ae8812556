"""The node with which public digital-service operators exchange what they pool."""

from importlib.metadata import version

__version__ = version("federation")
