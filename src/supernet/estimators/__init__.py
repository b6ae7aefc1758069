"""Estimators: what an architecture is worth, from shared weights, from training it, or from a table."""
