"""Standings: how ties are decided, and what reads and watches of a board ask for and are sent."""
