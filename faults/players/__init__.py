"""Clients of the gateway: players who complete actions, redeem tickets, and who follow the leaderboard."""
