"""`CorrectionService`: awards that are taken back, and who may see a user."""
