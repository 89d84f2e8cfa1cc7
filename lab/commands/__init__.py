"""The commands of ``./invoke``: each parses, calls one function and prints what it returns."""
