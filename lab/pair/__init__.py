"""Two sites of which either may die: what is done to them, what it may cost, what it did cost."""
