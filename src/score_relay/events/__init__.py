"""Events: entries as CloudEvents, and their signatures. No I/O but the files of secrets."""
