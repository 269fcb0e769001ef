"""From interactions to item sequences, splits, history windows and candidate sets."""
