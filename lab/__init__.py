"""Generalprøve: rehearse the move of a small fleet, then make it for real."""
