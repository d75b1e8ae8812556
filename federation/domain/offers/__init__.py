"""Offers to a public body: whether it may join, and what it would pay."""
