"""Measures Laurel on one machine: `python -m bench`.

It starts a stack of its own (PostgreSQL with fsync, Valkey, the services as processes, mutual TLS), puts load
on it and prints one table. Every figure stands beside a limit that was measured a moment before or after,
because a machine that is shared is twice as fast in one minute as in the next: ratios are what counts.

A measure is something that is done for some seconds; a row of the table is one figure of it. Measures that
are compared lie in the same theme and take turns.

It is not part of the distribution, and nothing in `src` may import it.
"""
