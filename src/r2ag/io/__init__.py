"""Files that are written whole, requests to other servers, answers as plain dictionaries."""
