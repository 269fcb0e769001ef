"""Suites of runs that differ in one thing each: what they ask, what they run, what of it is there, what came out."""
