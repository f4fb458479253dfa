"""The routes of the API: from JSON to commands and back."""
