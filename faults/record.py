"""Reads the whole record out of PostgreSQL, with statements of its own, in one snapshot."""

from collections.abc import Sequence

from faults.ledger import Record


def read_record(dsn: str, former: Sequence[Record] = ()) -> Record:
    """Read every board.

    Args:
        dsn: of a role that may read the schema `score`; the owner's, or a superuser's.
        former: records of earlier epochs. What is the same in them is kept once.

    Raises:
        psycopg.Error: the server is away, or no such record.
    """
    raise NotImplementedError
