"""How good methods are, compared on the same records: metrics, intervals, methods, results."""
