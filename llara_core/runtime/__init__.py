"""What every stage needs and nothing else: files, logging, seeds, devices."""
