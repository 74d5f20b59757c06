"""Clients that stages are given as lookups: edges, like sources and sinks."""
