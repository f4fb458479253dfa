"""What an answer discloses by its time or its form: whether a user, or a session, exists.

Not by the clock, which is of no use on a busy machine: by the work that is done, and by its time on the CPU.
"""

import statistics
import time

import httpx2 as httpx
import pytest
from argon2 import PasswordHasher
from tests.fixtures.services.gateway import Gateway, StartGateway

from action_gateway.accounts.passwords import Passwords
from action_gateway.store.store import Store

PASSWORD = "correct horse battery"
OWN = {"date", "x-request-id", "content-length"}


@pytest.fixture
async def gateway(start_gateway: StartGateway) -> Gateway:
    """Return a gateway without a score service, which sessions do not need."""
    return await start_gateway(ready=False, score_target="dns:///localhost:1")


async def post(gateway: Gateway, path: str, **body: str) -> httpx.Response:
    return await gateway.http.post(f"/api/v1/auth/{path}", json=body)


def form(response: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Give all of an answer but what names the request."""
    fields = [(name, value) for name, value in response.headers.multi_items() if name not in OWN]
    return response.status_code, response.content, fields


@pytest.mark.parametrize(("wrong", "forms"), [("wrong password", 1), ("wrong pa\u0301ssword", 2)])
async def test_an_unknown_user_and_a_wrong_password_get_the_same_answer_for_the_same_work(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, wrong: str, forms: int
) -> None:
    await post(gateway, "register", username="ada", password=PASSWORD)
    work: list[object] = []
    verify, find, rehash = PasswordHasher.verify, Store.find_account, PasswordHasher.check_needs_rehash

    def try_hash(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
        work.append(("argon2", *password_hash.split("$")[1:4]))
        return verify(hasher, password_hash, password)

    async def find_account(store: Store, username: str) -> object:
        work.append("find_account")
        return await find(store, username)

    def check(hasher: PasswordHasher, password_hash: str) -> bool:
        work.append("check")
        return rehash(hasher, password_hash)

    monkeypatch.setattr(PasswordHasher, "verify", try_hash)
    monkeypatch.setattr(PasswordHasher, "check_needs_rehash", check)
    monkeypatch.setattr(Store, "find_account", find_account)
    answers, works = [], []
    for username in ("ada", "bob", "nobody-of-this-name"):
        answers.append(form(await post(gateway, "login", username=username, password=wrong)))
        works.append(work.copy())
        work.clear()

    assert answers[0][0] == 401
    assert answers[0] == answers[1] == answers[2]
    assert works[0] == ["find_account", *[("argon2", "argon2id", "v=19", "m=19456,t=2,p=1")] * forms]
    assert works[0] == works[1] == works[2]


def test_the_check_for_an_unknown_user_takes_as_much_cpu_time_as_for_a_known_one() -> None:
    with Passwords(workers=1, queue=0) as passwords:
        kept = passwords._hasher.hash(PASSWORD)
        seconds: dict[str, list[float]] = {kept: [], passwords._nobody: []}
        for _ in range(5):
            for password_hash, spent in seconds.items():
                started = time.thread_time()
                assert not passwords._try(password_hash, "wrong password").right
                spent.append(time.thread_time() - started)

    users, nobodys = map(statistics.median, seconds.values())
    assert 0.5 < users / nobodys < 2


async def test_attempts_at_users_who_do_not_exist_are_limited_alike(start_gateway: StartGateway) -> None:
    gateway = await start_gateway(ready=False, score_target="dns:///localhost:1", logins_per_minute=2)
    await post(gateway, "register", username="ada", password=PASSWORD)
    statuses = {
        username: [
            (await post(gateway, "login", username=username, password="wrong password")).status_code
            for _ in range(3)
        ]
        for username in ("ada", "bob")
    }

    assert statuses["ada"] == statuses["bob"] == [401, 401, 429]


async def test_invalid_refresh_tokens_are_indistinguishable(gateway: Gateway) -> None:
    await post(gateway, "register", username="ada", password=PASSWORD)
    tokens = [
        (await post(gateway, "login", username="ada", password=PASSWORD)).json()["refreshToken"]
        for _ in range(3)
    ]
    reused, left, expired = tokens
    for _ in range(2):
        newest = (await post(gateway, "refresh", refreshToken=tokens[0])).json()["refreshToken"]
        tokens[0] = newest
    await post(gateway, "logout", refreshToken=left)
    answers = [
        form(await post(gateway, "refresh", refreshToken=token))
        for token in (reused, newest, left, "A" * 43, "rubbish")
    ]
    gateway.clock.advance(31 * 86_400)
    answers.append(form(await post(gateway, "refresh", refreshToken=expired)))

    assert answers[0][0] == 401
    assert all(answer == answers[0] for answer in answers)


async def test_logging_out_discloses_nothing_about_the_session(gateway: Gateway) -> None:
    await post(gateway, "register", username="ada", password=PASSWORD)
    token = (await post(gateway, "login", username="ada", password=PASSWORD)).json()["refreshToken"]
    answers = [
        form(await post(gateway, "logout", refreshToken=one)) for one in (token, token, "A" * 43, "rubbish")
    ]

    assert answers[0][:2] == (204, b"")
    assert all(answer == answers[0] for answer in answers)
