"""Advisories of others (CVE, OSV, CSAF), and the names that they and solutions give to products."""
