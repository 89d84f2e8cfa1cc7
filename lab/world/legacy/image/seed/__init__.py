"""Thirteen years of mail and articles, made from fixed numbers: two runs are alike to the byte.

Runs once, while the image of the old server is built (``python3 -m seed``), with the standard
library of Debian 12 alone; so nothing here may import from the rest of the project.
"""
