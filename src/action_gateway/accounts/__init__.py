"""Who a player is: passwords, sessions, signing keys, access and action tokens."""
