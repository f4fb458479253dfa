"""Connection strings, and which host errors name."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from service_runtime.postgres.conninfo import complete_conninfo
from service_runtime.postgres.pool import Pool, PoolSettings

UNKNOWN = "nowhere.invalid"
"""A name that no resolver knows: RFC 6761, section 6.4."""


class _Pool(Pool):
    application_name = "tests"


async def test_a_pool_names_the_host_that_it_cannot_resolve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PGHOST", UNKNOWN)

    async with _Pool.open(PoolSettings("user=runtime", wait_seconds=1)) as pool:
        with pytest.raises(PoolTimeout):
            async with pool.connection():
                pass

    assert f"failed to resolve host '{UNKNOWN}'" in caplog.text


def test_what_the_string_says_counts_more_than_defaults_and_the_password_is_added() -> None:
    completed = conninfo_to_dict(
        complete_conninfo(
            "host=a,b port=1,2 connect_timeout=7", "p w", {"connect_timeout": "3", "application_name": "x"}
        )
    )

    assert completed == {
        "host": "a,b",
        "port": "1,2",
        "connect_timeout": "7",
        "application_name": "x",
        "password": "p w",
    }


def test_a_host_of_the_service_file_counts_as_with_libpq(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[points]\nhost=of-the-service\n", encoding="utf-8")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGHOST", "of-the-environment")

    assert conninfo_to_dict(complete_conninfo("service=points", None, {})) == {"service": "points"}
    monkeypatch.setenv("PGSERVICE", "points")
    assert conninfo_to_dict(complete_conninfo("", None, {})) == {"host": "of-the-service"}


@pytest.mark.parametrize("dsn", ["host=given", "hostaddr=127.0.0.1"])
def test_a_host_of_the_string_is_kept(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("PGHOST", "of-the-environment")

    assert complete_conninfo(dsn, None, {}) == dsn


def test_without_any_host_the_socket_of_libpq_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)

    assert conninfo_to_dict(complete_conninfo("user=runtime", None, {})) == {"user": "runtime"}
