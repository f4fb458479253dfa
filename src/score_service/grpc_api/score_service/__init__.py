"""`ScoreService`: awards are made, and asked for later."""
