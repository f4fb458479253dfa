"""The plain values of a run, and what is computed from them alone.

A room without I/O: what was asked for and seen (`history`), the record of each epoch (`ledger`, `board`),
Redis (`projection`), the standings that awards add up to (`fold`), and what is wrong (`findings`). It imports
nothing but the standard library.
"""
