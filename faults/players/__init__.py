"""Clients of the gateway: players who complete actions, and who follow the leaderboard."""
