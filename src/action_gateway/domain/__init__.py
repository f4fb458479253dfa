"""Values and rules of the gateway: actions and their answers, leaderboard rows, socket messages. Pure."""
