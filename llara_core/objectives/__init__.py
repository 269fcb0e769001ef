"""What the language model is trained for: for each objective its examples, its loss, what validation watches, its scores."""
