"""Programs that attack a node of their own and report whether anybody else was harmed."""
