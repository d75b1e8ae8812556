"""Pages in a real browser, of four nodes that exchange records."""
