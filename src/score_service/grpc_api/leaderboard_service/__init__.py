"""`LeaderboardService`: standings are read and watched."""
