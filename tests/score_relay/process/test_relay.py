"""The relay between a real score service and real receivers, which are slow, fail and are killed."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from starlette.responses import StreamingResponse
from tests.fixtures.ledgers.archiving import Archiving
from tests.fixtures.network.webhooks import StartReceiver, WebhookServer, answer, hang, make_secret, take
from tests.fixtures.servers.postgres import Database, accepting_no_writes
from tests.fixtures.servers.stores import eventually
from tests.fixtures.services.relay import Configure, RelayDatabase, StartRelay
from tests.fixtures.services.score_service import ScoreService
from tests.fixtures.tasks import go_on_once_cancelled

from local_stack.certificates import CertificateFiles
from score_client import AwardResult, ClientCredentials, ScoreClient
from score_relay.delivery import delivery
from score_relay.store import store as stores
from service_runtime.errors import SetupError


@pytest.fixture
async def client(
    score_service: ScoreService, backend_certificate: CertificateFiles
) -> AsyncIterator[ScoreClient]:
    files = backend_certificate
    credentials = ClientCredentials(files.ca_file, files.certificate_file, files.key_file)
    async with ScoreClient(score_service.target, credentials=credentials) as client:
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have failures tried again at once, and what is held by nobody any more soon be free."""
    monkeypatch.setattr("score_relay.delivery.attempt._FIRST_SECONDS", 0.01)
    monkeypatch.setattr(delivery, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(delivery, "_ABSENT_SECONDS", 0.05)
    monkeypatch.setattr("score_relay.delivery.deliveries._SAVE_SECONDS", 0.05)


async def give(client: ScoreClient, count: int, board_id: str = "main") -> list[AwardResult]:
    return [
        await client.award(
            board_id=board_id, user_id="ada", points=5, action_type="puzzle", action_id="puzzle_1"
        )
        for _ in range(count)
    ]


async def until(receiver: WebhookServer, count: int) -> None:
    """Wait until so many different entries have come."""

    async def have_come() -> bool:
        return len(set(receiver.revisions)) >= count

    await eventually(have_come)


async def position_is(database: RelayDatabase, position: str, receiver: str = "shop") -> None:
    async def is_kept() -> bool:
        rows = await asyncio.to_thread(
            database.query, f"SELECT position FROM relay.delivery WHERE receiver = '{receiver}'"
        )
        return bool(rows) and rows[0]["position"] == position

    await eventually(is_kept)


async def test_entries_arrive_as_signed_cloud_events_in_order(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    first, *_ = await give(client, 3)
    receiver = await start_receiver()
    configured = configure("shop", receiver)
    await start_relay(configured)
    await until(receiver, 3)
    await give(client, 2)
    await until(receiver, 5)

    assert receiver.revisions == [1, 2, 3, 4, 5]
    hook = receiver.hooks[0]
    event = hook.event
    assert hook.headers["content-type"] == "application/cloudevents+json"
    assert hook.headers["webhook-id"] == event["id"] == "main/1"
    assert hook.is_signed(configured.secrets[0])
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "laurel.award", "laurel")
    assert (event["subject"], event["datacontenttype"]) == ("ada", "application/json")
    assert datetime.fromisoformat(event["time"]).tzinfo == UTC
    assert (event["data"]["board_id"], event["data"]["position"]) == ("main", first.position)
    award = event["data"]["award"]
    assert (UUID(award["award_id"]), award["points"], award["total"]) == (first.award_id, 5, 5)


@pytest.mark.usefixtures("quick")
async def test_two_keys_sign_at_once_and_a_renewed_one_is_taken_up(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("score_relay.events.signature._READ_SECONDS", 0.0)
    receiver = await start_receiver()
    configured = configure("shop", receiver, secrets=2)
    await start_relay(configured)
    await give(client, 1)
    await until(receiver, 1)
    renewed = make_secret(configured.secret_files[0])
    await give(client, 1)
    await until(receiver, 2)
    configured.secret_files[1].write_text("broken", encoding="ascii")
    await give(client, 1)
    await until(receiver, 3)

    before, after, kept = receiver.hooks
    assert all(before.is_signed(secret) for secret in configured.secrets)
    assert after.is_signed(renewed)
    assert after.is_signed(configured.secrets[1])
    assert kept.is_signed(renewed)
    assert kept.is_signed(configured.secrets[1])


@pytest.mark.usefixtures("quick")
async def test_event_is_sent_until_it_is_taken_and_the_next_waits(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver = await start_receiver(
        answer(500),
        answer(302, location="http://localhost:1/elsewhere"),
        answer(429, retry_after="0"),
        answer(404),
        take,
    )
    await start_relay(configure("shop", receiver))
    await give(client, 2)
    await until(receiver, 2)

    assert receiver.revisions == [1, 1, 1, 1, 1, 2]
    assert len({hook.headers["webhook-id"] for hook in receiver.hooks[:5]}) == 1
    assert len({hook.body for hook in receiver.hooks[:5]}) == 1


@pytest.mark.usefixtures("quick")
async def test_receiver_that_is_slow_or_fails_holds_up_only_itself(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    good, hanging, failing = (
        await start_receiver(),
        await start_receiver(hang),
        await start_receiver(answer(503)),
    )
    gone = await start_receiver()
    await gone.stop()
    names = {"good": good, "hanging": hanging, "failing": failing, "gone": gone}
    relay = await start_relay(*(configure(name, receiver) for name, receiver in names.items()))
    await give(client, 20)
    await until(good, 20)

    assert good.revisions == list(range(1, 21))
    assert set(hanging.revisions) == {1}
    assert set(failing.revisions) <= {1}
    await relay.stop()


@pytest.mark.usefixtures("quick")
async def test_each_board_of_a_receiver_goes_on_by_itself(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    async def fail_on_main(hook: Any) -> Any:
        return await (answer(500) if hook.event["data"]["board_id"] == "main" else take)(hook)

    receiver = await start_receiver(fail_on_main)
    await start_relay(configure("shop", receiver, boards=["main", "season-1"]))
    await give(client, 1)
    await give(client, 3, board_id="season-1")

    async def have_come() -> bool:
        return [hook.event["id"] for hook in receiver.hooks if "season" in hook.event["id"]] == [
            "season-1/1",
            "season-1/2",
            "season-1/3",
        ]

    await eventually(have_come)


@pytest.mark.usefixtures("quick")
async def test_receiver_that_was_killed_gets_everything_once_it_is_back(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver = await start_receiver()
    await start_relay(configure("shop", receiver))
    await give(client, 2)
    await until(receiver, 2)
    await receiver.stop()
    await give(client, 3)
    await receiver.start()
    await until(receiver, 5)

    assert receiver.revisions == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("quick")
async def test_event_that_a_receiver_takes_for_faulty_is_a_dead_letter_and_the_next_follows(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    receiver = await start_receiver(take, answer(422), answer(422), answer(422), take)
    relay = await start_relay(configure("shop", receiver))
    await give(client, 3)
    await until(receiver, 3)

    assert receiver.revisions == [1, 2, 2, 2, 3]
    [letter] = relay_database.query("SELECT * FROM relay.dead_letter")
    assert (letter["receiver"], letter["board_id"], letter["revision"]) == ("shop", "main", 2)
    assert (letter["attempts"], letter["reason"]) == (3, "422")
    assert letter["event"] == receiver.hooks[1].body.decode()
    text = await metrics_of(relay.relay.admin_address)
    assert 'relay_events_given_up_total{receiver="shop"} 1.0' in text
    assert 'relay_events_delivered_total{receiver="shop"} 2.0' in text
    assert 'relay_attempts_failed_total{reason="4xx",receiver="shop"} 3.0' in text


@pytest.mark.usefixtures("quick")
async def test_event_that_is_not_taken_for_too_long_is_a_dead_letter(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    receiver = await start_receiver(hang)
    await start_relay(configure("shop", receiver, timeout_seconds=0.05, give_up_seconds=0.2))
    await give(client, 2)
    await until(receiver, 2)

    [letter, *_] = relay_database.query("SELECT * FROM relay.dead_letter ORDER BY revision")
    assert (letter["revision"], letter["reason"]) == (1, "timeout")


@pytest.mark.usefixtures("quick")
async def test_stopped_relay_goes_on_where_it_was(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    receiver = await start_receiver()
    configured = configure("shop", receiver)
    relay = await start_relay(configured)
    await give(client, 3)
    await until(receiver, 3)
    await relay.stop()
    *_, last = await give(client, 2)
    await start_relay(configured)
    await until(receiver, 5)
    await position_is(relay_database, last.position)

    assert receiver.revisions == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("quick")
async def test_it_stops_also_where_a_library_loses_a_cancellation(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await give(client, 1)
    claiming = asyncio.Event()

    async def claim(_store: stores.Store, _place: object) -> None:
        claiming.set()
        await go_on_once_cancelled()

    monkeypatch.setattr(stores.Store, "claim", claim)
    relay = await start_relay(configure("shop", await start_receiver()))
    async with asyncio.timeout(60):
        await claiming.wait()
        await relay.stop()


@pytest.mark.usefixtures("quick")
async def test_stop_waits_for_the_attempt_under_way_and_keeps_that_it_was_taken(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    is_there, may_go_on = asyncio.Event(), asyncio.Event()

    async def take_late(hook: Any) -> Any:
        is_there.set()
        await may_go_on.wait()
        return await take(hook)

    receiver = await start_receiver(take_late)
    relay = await start_relay(configure("shop", receiver))
    first, _ = await give(client, 2)
    await is_there.wait()
    stopping = asyncio.create_task(relay.stop())
    await asyncio.sleep(0)
    may_go_on.set()
    await stopping

    assert receiver.revisions == [1]
    await position_is(relay_database, first.position)


@pytest.mark.usefixtures("quick")
async def test_killed_relay_loses_nothing_and_another_takes_its_place_when_its_time_is_over(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "HELD_SECONDS", 4.0)
    receiver = await start_receiver()
    configured = configure("shop", receiver)
    relay = await start_relay(configured)
    await give(client, 2)
    await until(receiver, 2)
    monkeypatch.setattr("score_relay.store.store.Store.save", never)
    await relay.kill()
    monkeypatch.undo()
    await give(client, 3)
    await start_relay(configured)
    await until(receiver, 5)

    assert sorted(set(receiver.revisions)) == [1, 2, 3, 4, 5]
    latest = {revision: place for place, revision in enumerate(receiver.revisions)}
    assert sorted(latest, key=lambda revision: latest[revision]) == [1, 2, 3, 4, 5]


async def never(*_: object, **__: object) -> set[object]:
    return set()


@pytest.mark.usefixtures("quick")
async def test_of_two_relays_one_delivers(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver = await start_receiver()
    configured = configure("shop", receiver)
    first, _second = await start_relay(configured), await start_relay(configured)
    await give(client, 5)
    await until(receiver, 5)
    await first.stop()
    await give(client, 5)
    await until(receiver, 10)

    assert receiver.revisions == list(range(1, 11))


@pytest.mark.usefixtures("quick")
async def test_receiver_may_begin_with_what_comes(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    *_, last = await give(client, 3)
    receiver = await start_receiver()
    await start_relay(configure("shop", receiver, start="now"))
    await position_is(relay_database, last.position)
    await give(client, 1)
    await until(receiver, 1)

    assert receiver.revisions == [4]


@pytest.mark.usefixtures("quick")
async def test_receiver_gets_the_kinds_that_it_wants(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver, other = await start_receiver(), await start_receiver()
    await start_relay(configure("shop", receiver), configure("audit", other, kinds=["settings", "reversal"]))
    await give(client, 3)
    await until(receiver, 3)

    assert other.hooks == []


@pytest.mark.usefixtures("quick")
async def test_nothing_is_sent_from_another_history_until_somebody_says_so(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_STOPPED_SECONDS", 0.05)
    receiver = await start_receiver()
    relay = await start_relay(configure("shop", receiver))
    first, _, last = await give(client, 3)
    await until(receiver, 3)
    await position_is(relay_database, last.position)
    with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM score.award WHERE revision > 1")
        connection.execute("DELETE FROM score.commit WHERE last_revision > 1")
        connection.execute(
            "UPDATE score.board SET revision = 1, digest = c.digest FROM score.commit c"
            " WHERE last_revision = 1"
        )
        connection.execute("UPDATE score.standing SET total = 5, reached_revision = 1")

    async def is_stopped() -> bool:
        return 'relay_stopped{receiver="shop"} 1.0' in await metrics_of(relay.relay.admin_address)

    await eventually(is_stopped)
    await give(client, 1)
    relay_database.query(f"UPDATE relay.delivery SET position = '{first.position}'")
    await until(receiver, 3)

    async def has_come() -> bool:
        return receiver.revisions == [1, 2, 3, 2]

    await eventually(has_come)
    assert receiver.hooks[3].body != receiver.hooks[1].body


@pytest.mark.usefixtures("quick")
async def test_receiver_of_rare_kinds_is_not_left_behind_where_awards_are_archived(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
    archiving: Archiving,
) -> None:
    receiver = await start_receiver()
    configured = configure("shop", receiver, kinds=["archived"])
    relay = await start_relay(configured)
    *_, last = await give(client, 3)
    await position_is(relay_database, last.position)
    await relay.stop()
    await archiving.cut_and_delete()
    await start_relay(configured)
    await until(receiver, 1)

    assert receiver.revisions == [4]


@pytest.mark.usefixtures("quick")
async def test_nothing_is_sent_from_before_the_cut_until_somebody_says_so(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
    archiving: Archiving,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_STOPPED_SECONDS", 0.05)
    receiver = await start_receiver()
    await give(client, 3)
    cut = await archiving.cut_and_delete()
    await give(client, 1)
    relay = await start_relay(configure("shop", receiver))

    async def is_stopped() -> bool:
        return 'relay_stopped{receiver="shop"} 1.0' in await metrics_of(relay.relay.admin_address)

    await eventually(is_stopped)
    assert receiver.hooks == []
    relay_database.query(f"UPDATE relay.delivery SET position = '{cut}'")
    await until(receiver, 2)

    assert receiver.revisions[:2] == [4, 5]
    assert receiver.hooks[0].event["type"] == "laurel.archived"
    assert not await is_stopped()


async def test_certificate_of_a_receiver_is_verified(
    client: ScoreClient,
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    server_certificate: CertificateFiles,
) -> None:
    receiver = await start_receiver(certificate=server_certificate)
    trusting = configure("trusting", receiver, ca_file=str(server_certificate.ca_file))
    relay = await start_relay(trusting, configure("strict", receiver))
    await give(client, 1)
    await until(receiver, 1)

    async def has_failed() -> bool:
        text = await metrics_of(relay.relay.admin_address)
        return bool(re.search(r'relay_attempts_failed_total\{reason="tls",receiver="strict"\} [1-9]', text))

    await eventually(has_failed)
    assert receiver.revisions == [1]


async def test_answer_without_end_takes_no_more_than_its_time(
    client: ScoreClient, start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    receiver = await start_receiver(answer_without_end, take)
    await start_relay(configure("shop", receiver))
    await give(client, 2)
    await until(receiver, 2)

    assert receiver.revisions == [1, 2]


async def answer_without_end(_hook: Any) -> Any:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000
            await asyncio.sleep(0)

    return StreamingResponse(parts())


async def test_relay_says_what_it_lacks(
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    relay = (await start_relay(configure("shop", await start_receiver()))).relay

    async def is_ready() -> bool:
        return relay.readiness.is_ready and not relay.readiness.missing

    await eventually(is_ready)
    relay_database.query("UPDATE relay.alembic_version SET version_num = '0000'")

    async def is_missing() -> bool:
        return "old schema" in relay.readiness.missing.get("store", "")

    await eventually(is_missing)
    assert not relay.readiness.is_ready


async def test_relay_says_that_its_store_accepts_no_writes_before_one_fails(
    start_receiver: StartReceiver,
    start_relay: StartRelay,
    configure: Configure,
    relay_database: RelayDatabase,
) -> None:
    dsn = f"{relay_database.login.url}?target_session_attrs=any"
    relay = (await start_relay(configure("shop", await start_receiver()), database_dsn=dsn)).relay

    async def is_missing() -> bool:
        return not relay.readiness.is_ready and relay.readiness.missing.get("store") == "accepts no writes"

    async def is_ready() -> bool:
        return relay.readiness.is_ready

    with accepting_no_writes(relay_database.admin_dsn):
        await eventually(is_missing)
    await eventually(is_ready)


async def test_faulty_secret_keeps_the_relay_from_starting(
    start_receiver: StartReceiver, start_relay: StartRelay, configure: Configure
) -> None:
    configured = configure("shop", await start_receiver())
    configured.secret_files[0].write_text("whsec_c2hvcnQ=", encoding="ascii")

    with pytest.raises(SetupError) as caught:
        await start_relay(configured)

    assert caught.value.faults == (
        f"{configured.secret_files[0]}: must be whsec_ and 24 to 64 bytes in base64",
    )


async def metrics_of(address: object) -> str:
    async with httpx2.AsyncClient() as http:
        return (await http.get(f"http://{address}/metrics")).text
