"""What each dataset is made of, and one reader per raw format."""
