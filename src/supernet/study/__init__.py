"""Searchers on a benchmark table: what each had found after so many estimates, held against the best that the table has."""
