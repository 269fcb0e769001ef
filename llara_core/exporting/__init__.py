"""A trained model as a plain folder: merged weights, tables and a card, read without this project."""
