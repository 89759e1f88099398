"""Files that are written whole or only grow, requests to other servers, answers as plain dictionaries."""
