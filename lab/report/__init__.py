"""Records for people: one self-contained page of one run."""
