"""What moderators do: looking up players and what there is to suspect of them, taking back, hiding."""
