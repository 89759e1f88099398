"""Requests for answers and their responses; other addresses have theirs beside their routes."""
