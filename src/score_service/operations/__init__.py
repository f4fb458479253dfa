"""What an operator runs: verifying and rebuilding boards, ledgers in files, checking certificate files."""
