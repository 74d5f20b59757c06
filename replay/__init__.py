"""Replay and redrive."""
