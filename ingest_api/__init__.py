"""The HTTP tier: sessions, ingest and results."""
