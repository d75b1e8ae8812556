"""People of the operator: what they may see and do, and how they log in."""
