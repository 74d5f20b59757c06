"""What smart signals are measured with, and what their weights are learned from: simulated traffic, its kinds known."""
