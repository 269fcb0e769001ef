"""The language model that reads titles and behavioural tokens."""
