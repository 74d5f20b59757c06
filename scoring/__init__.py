"""Model, explanation and decision policy."""
