"""What looks on while a search runs: an alarm for collapse, and a benchmark table as judge."""
