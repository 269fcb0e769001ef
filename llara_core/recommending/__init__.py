"""A trained model put to use: titles to items, histories to rankings with probabilities, one by one or many at once."""
