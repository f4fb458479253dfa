"""Delivery: attempts to send, when to try again or to give up, and a task for each receiver and board."""
