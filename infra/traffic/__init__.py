"""Traffic: honest visitors from a repaired real population, attackers, malformed clients, and what sends them."""
