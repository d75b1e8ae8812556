"""HTTP as machines and people share it: operations, limits, shares, bodies, answers."""
