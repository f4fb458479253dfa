"""When the periods of a board start and end, and what its settings may be. Pure: no I/O, and no clock."""
