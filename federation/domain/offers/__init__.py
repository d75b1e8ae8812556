"""Offers to a public body: may it join, and what would it pay."""
