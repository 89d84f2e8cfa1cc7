"""A mail journal: an accepted message is on both nodes' disks before its sender hears so.

On each node a milter hands every message to the peer before Postfix accepts it, and a store keeps
what the peer hands over until nothing of it can be lost any more.
"""
