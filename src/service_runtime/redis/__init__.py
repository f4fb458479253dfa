"""Redis or Valkey: where it is and what it asks for, and pools of connections to it."""
