"""Buying together: the needs of a consultation, added up before its deadline, and its contract."""
