"""Policies over architectures, learnt by rewards: they draw from a search space and know the probability of what they draw."""
