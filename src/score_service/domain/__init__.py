"""Values and rules of a board: awards, standings, positions, ties. Pure: no store, no wire, no clock."""
