"""How long networks take: measured part by part or whole, as tables and predictors; and tables that papers published."""
