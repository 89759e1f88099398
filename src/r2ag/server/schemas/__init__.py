"""What requests and responses look like; one file an address."""
