"""The world outside the fleet: router, registry, resolver, users, mirror, and legacy Bergen."""
