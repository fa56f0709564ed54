"""Widgets, each class beside the form of the same name."""
