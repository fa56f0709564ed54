"""Exporting tiles of services and caches into caches and packages, and importing them."""
