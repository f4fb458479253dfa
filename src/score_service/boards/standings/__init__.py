"""Reading standings: reads that share an answer, which period is meant, and results of final periods."""
