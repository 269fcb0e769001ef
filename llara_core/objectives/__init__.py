"""What the language model is trained for: each objective's examples, loss, validation and scores."""
