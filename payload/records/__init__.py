"""Whole records in pictures: record -> frame -> marks, and back from what was read."""
