"""Files: written whole, read and checked; what those of a run hold."""
