"""Measurements and the figures of the documents."""
