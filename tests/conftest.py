"""What all tests share: Hypothesis draws the same examples every time and keeps no database."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")
