"""Tile stores: all that knows bytes on disk."""
