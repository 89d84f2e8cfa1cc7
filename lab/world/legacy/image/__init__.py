"""What the old server's image is built from; only :mod:`.seed` is Python."""
