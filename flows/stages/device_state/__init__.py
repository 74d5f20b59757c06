"""Compact arrays for state by device: tags, tables of tags, lists of times."""
