"""What readers record, on a real score service."""

import random

import pytest
from tests.fixtures.services.score_service import ScoreService

from faults.backends.backend import Backend
from faults.backends.memory import Memory
from faults.backends.readers import Readers
from faults.load.load import Load
from faults.model.history import Asked, AwardCall, History, Read, Row
from local_stack.certificates import CertificateFiles
from score_client import ClientCredentials, ScoreClient

_AWARD = "{:08}-0000-4000-8000-000000000000"


@pytest.fixture
def memory() -> Memory:
    return Memory(random.Random(1))


@pytest.fixture
def readers(backend: Backend, memory: Memory) -> Readers:
    return Readers([backend], memory, random.Random(1), Load(boards=("main",)))


async def _award(backend: Backend, memory: Memory, number: int, points: int) -> AwardCall:
    name = _AWARD.format(number)
    remembered = memory.keep(Asked("main", name, f"user-{number}", points, "match", "match-1", name))
    call = await backend.award(remembered.asked)
    assert call.result is not None
    remembered.revision = call.result.revision
    return call


def _reads(backend: Backend) -> list[Read]:
    return [event for event in backend.history.events if isinstance(event, Read)]


async def test_reads_tell_what_they_asked_for_and_what_they_were_shown(
    backend: Backend, memory: Memory, readers: Readers
) -> None:
    for number in (1, 2, 3):
        await _award(backend, memory, number, points=number)
    for _ in range(100):
        await readers.act()
    rows = [Row(f"user-{number}", number, 4 - number, number, hidden=False) for number in (3, 2, 1)]
    reads = _reads(backend)
    assert 40 < len(reads) < 80  # The board has no seasons, and nothing is shown of those asked for.
    assert {read.period for read in reads} == {""}
    for read in reads:
        assert (read.board_id, read.revision, read.position[:2]) == ("main", 3, "3-")
        assert read.source in {"cache", "record"}
        assert read.began <= read.ended
        assert (read.top is None) == (read.page_size == 0) == bool(read.users)
        assert read.top in {None, tuple(rows)}
        assert set(read.rows) <= set(rows)
        assert [row.user_id for row in read.rows] == [*read.users]
    kinds = {(read.page_size, len(read.users), read.min_revision is None) for read in reads}
    assert {page_size for page_size, *_ in kinds} == {0, 10, 100}
    assert {users for _, users, _ in kinds} >= {0, 1, 2}
    assert {least for *_, least in kinds} == {True, False}


async def test_board_that_is_not_there_proves_nothing(backend: Backend, readers: Readers) -> None:
    await readers.act()
    assert backend.history.events == []


async def test_user_without_an_award_is_recorded_as_left_out(
    backend: Backend, memory: Memory, readers: Readers
) -> None:
    await _award(backend, memory, 1, points=1)
    await readers._read_user(backend, "main", "nobody", 1)
    (read,) = _reads(backend)
    assert (read.users, read.rows, read.min_revision) == (("nobody",), (), 1)


async def test_revision_that_is_not_reached_proves_nothing(
    score_service: ScoreService, backend: Backend, backend_certificate: CertificateFiles, memory: Memory
) -> None:
    await _award(backend, memory, 1, points=1)
    files = backend_certificate
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
    async with ScoreClient(score_service.target, credentials=credentials, timeout=0.5) as client:
        hurried = Backend("backend-2", client, History())
        readers = Readers([hurried], memory, random.Random(1), Load(boards=("main",)))
        await readers._read_user(hurried, "main", "user-1", 2)
        await readers._read_users(hurried, "main", ["user-1"], 2)
        await readers._read_top(hurried, "main", 2)
    assert _reads(hurried) == []
