"""The documented path from data to a network: search, retrain, evaluate, export. Each step is a run that can be resumed."""
