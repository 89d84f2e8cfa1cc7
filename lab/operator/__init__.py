"""The operator: the only hands that a step has, in the lab as on the real servers."""
