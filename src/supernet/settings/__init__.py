"""Settings: kinds of values, groups of fields with their flags, and what was given by files, flags and ``--set``."""
