"""A page and a JSON API over one trained model: what `llara serve` runs."""
