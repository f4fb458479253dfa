"""The servers that are measured, a bare one beside them, their use of the machine, and the machine."""
