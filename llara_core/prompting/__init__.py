"""Prompts as segments, and segments as token ids with a slot mask."""
