"""Keeps the mail of two servers alike: what changes on this one is synced with its peer at once.

Dovecot leaves a marker in a spool for every user whose mail has changed (``replicator.lua``); this
has Dovecot sync that user with the peer, both ways, and removes the marker when that is done. The
parts: what is to be done when (``machine``, ``breaker``: pure), the spool (``spool``,
``inotify``), Dovecot's HTTP API (``doveadm``), what holds them together (``service``), and how it
can be asked (``control``, ``metrics``, ``cli``).
"""
