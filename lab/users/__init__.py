"""Users of the fleet: they ask from outside, never stop, and write down what they got."""
