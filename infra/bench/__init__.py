"""Benchmarks that ship with the claims: floor, pipeline and single stages, on the generator's own events."""
