"""Vendored data: where it comes from, and how its files are made. ``clickgoose data`` runs it."""
