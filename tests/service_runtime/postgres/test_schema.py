"""When a service can work with its schema."""

from service_runtime.postgres.schema import Schema


def test_schema_of_the_required_revision_or_a_newer_one_that_can_be_written_has_no_fault() -> None:
    assert Schema("0005", is_read_only=False).find_fault("0005", "score-relay") is None
    assert Schema("0012", is_read_only=False).find_fault("0005", "score-relay") is None


def test_older_schema_is_reported_with_what_to_do_also_where_nothing_can_be_written() -> None:
    remedy = "0005 is needed; run `score-relay migrate`"
    for is_read_only in (False, True):
        old, empty = Schema("0004", is_read_only), Schema("", is_read_only)
        assert old.find_fault("0005", "score-relay") == f"has an old schema: it is at 0004, {remedy}"
        assert empty.find_fault("0005", "score-relay") == f"has an old schema: it is at nothing, {remedy}"


def test_schema_that_cannot_be_written_is_reported() -> None:
    assert Schema("0005", is_read_only=True).find_fault("0005", "score-relay") == "accepts no writes"
