"""Pages for people: a sibling of ``api``, over the same functions of ``node`` and the same ``may_see``."""
