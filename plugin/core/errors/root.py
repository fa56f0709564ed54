"""The root of all errors of this product."""


class TileCacheError(Exception):
    """Root of all errors of this product."""
