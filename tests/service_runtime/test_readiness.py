"""Readiness: which parts it takes, what is reported of the others, and never again once stopping."""

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import capture_logs
from tests.fixtures.servers.stores import eventually

from service_runtime.readiness import Readiness


class PartError(Exception):
    """What a part fails with while it is unavailable."""


class Part:
    """A part whose state is set by hand."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.fault: str | None = None

    async def __call__(self) -> str | None:
        if self.error:
            raise self.error
        return self.fault


@pytest.fixture
def parts() -> dict[str, Part]:
    return {name: Part() for name in ("store", "cache", "feed")}


@pytest.fixture
def gauge() -> Gauge:
    return Gauge("ready", "Whether ready.", registry=CollectorRegistry())


@pytest.fixture
def make(parts: dict[str, Part], gauge: Gauge) -> Callable[..., Readiness]:
    def make(**options: object) -> Readiness:
        return Readiness(parts, gauge, required="store", unavailable=(PartError,), **options)  # type: ignore[arg-type]

    return make


async def test_before_the_first_check_nothing_is_ready(make: Callable[..., Readiness], gauge: Gauge) -> None:
    readiness = make()
    assert not readiness.is_ready
    assert readiness.missing == dict.fromkeys(("store", "cache", "feed"), "was not checked yet")


async def test_it_is_ready_without_a_part_that_is_not_required_and_reports_so(
    make: Callable[..., Readiness], parts: dict[str, Part], gauge: Gauge
) -> None:
    readiness = make()
    parts["cache"].error = PartError()
    await readiness.check()
    assert readiness.is_ready
    assert readiness.missing == {"cache": "is unavailable"}
    assert [readiness.has(part) for part in parts] == [True, False, True]
    assert gauge._value.get() == 1


async def test_without_the_required_part_it_is_never_ready(
    make: Callable[..., Readiness], parts: dict[str, Part], gauge: Gauge
) -> None:
    readiness = make()
    await readiness.check()
    parts["store"].error = PartError()
    await readiness.check()
    assert (readiness.is_ready, gauge._value.get()) == (False, 0)
    parts["store"].error = None
    await readiness.check()
    assert (readiness.is_ready, gauge._value.get()) == (True, 1)


async def test_parts_required_at_the_start_are_not_required_after_that(
    make: Callable[..., Readiness], parts: dict[str, Part], gauge: Gauge
) -> None:
    parts["feed"].fault = "was not read yet"
    readiness = make(all_at_start=True)
    async with readiness.running(0.001):

        async def is_missing(*names: str) -> bool:
            return readiness.missing.keys() == set(names)

        await eventually(lambda: is_missing("feed"))
        assert not readiness.is_ready
        parts["feed"].fault = None
        await eventually(is_missing)
        assert readiness.is_ready
        for name in ("cache", "feed"):
            parts[name].fault = "is unavailable"
        await eventually(lambda: is_missing("cache", "feed"))
        assert (readiness.is_ready, gauge._value.get()) == (True, 1)
        parts["store"].fault = "is unavailable"
        await eventually(lambda: is_missing(*parts))
        assert (readiness.is_ready, gauge._value.get()) == (False, 0)
        await readiness.stop()
        assert not readiness.is_ready


async def test_all_parts_must_have_been_available_at_once_before_it_is_ready_for_the_first_time(
    make: Callable[..., Readiness], parts: dict[str, Part]
) -> None:
    readiness = make(all_at_start=True)
    parts["feed"].fault = "was not read yet"
    await readiness.check()
    parts["feed"].fault, parts["cache"].fault = None, "is unavailable"
    await readiness.check()
    assert not readiness.is_ready
    parts["cache"].fault = None
    await readiness.check()
    assert readiness.is_ready


async def test_a_check_that_fails_in_an_unknown_way_counts_as_missing_and_shows_nothing(
    make: Callable[..., Readiness], parts: dict[str, Part]
) -> None:
    readiness = make()
    parts["store"].error = RuntimeError("hunter2")
    await readiness.check()
    assert readiness.missing == {"store": "cannot be checked"}


async def test_a_part_that_stays_unavailable_is_logged_once(
    make: Callable[..., Readiness], parts: dict[str, Part]
) -> None:
    readiness = make()
    parts["cache"].error = PartError("rejected\nby the peer")
    with capture_logs() as logs:
        for _ in range(3):
            await readiness.check()
    assert [line["event"] for line in logs] == ["check_failed", "readiness_changed"]
    assert logs[0]["error"] == "rejected"


async def test_once_stopping_it_is_never_ready_again(make: Callable[..., Readiness], gauge: Gauge) -> None:
    published = list[tuple[bool, bool]]()

    async def publish(readiness: Readiness) -> None:
        published.append((readiness.is_ready, readiness.is_stopping))

    readiness = make(publish=publish)
    await readiness.check()
    await readiness.stop()
    await readiness.check()
    assert not readiness.is_ready
    assert readiness.missing == {"process": "is stopping"}
    assert gauge._value.get() == 0
    assert published == [(True, False), (False, True)]


async def test_a_check_that_loses_its_cancellation_does_not_hold_up_the_end(gauge: Gauge) -> None:
    checking, finish = asyncio.Event(), asyncio.Event()

    async def cling() -> None:
        checking.set()
        try:
            await finish.wait()
        except asyncio.CancelledError:
            await finish.wait()

    readiness = Readiness({"store": cling}, gauge, required="store")
    async with asyncio.timeout(60), readiness.running(0.001):
        await checking.wait()
        await readiness.stop()
        asyncio.get_running_loop().call_later(0.05, finish.set)
    assert (readiness.is_stopping, readiness.is_ready) == (True, False)
    assert readiness.missing == {"process": "is stopping"}
