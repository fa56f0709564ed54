"""What a cache survives: killed writers, many writers at once, a full disk, readers beside it.

The tests do it a few times; `make bench` does it as often as the plugin claims to stand it.
"""
