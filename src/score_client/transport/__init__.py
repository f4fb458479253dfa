"""What carries calls: credentials, connections and their renewal, retries, and a span for each call."""
