"""Pages for people: a sibling of ``api``, over the same functions of ``node``. Nothing is here yet."""
