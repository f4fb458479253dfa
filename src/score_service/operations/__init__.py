"""What an operator runs: verifying and rebuilding boards, checking certificate files."""
