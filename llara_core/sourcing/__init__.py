"""Getting a file with a known checksum: the user's folder, the official address, a package mirror."""
