"""Sequential recommenders: encoders over one shared item embedding."""
