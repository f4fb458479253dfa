"""Outside issuers: backends that sign tickets by themselves, and what they may give."""
