"""What a client may say on a WebSocket."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from action_gateway.accounts.tokens import Access
from action_gateway.errors import UnauthenticatedError
from action_gateway.streams.conversation import MESSAGE_BYTES_MAX, Conversation, allows_origin
from action_gateway.streams.endings import EndedError, Ending

ALLOWED = frozenset({"https://play.example.org"})


def verify(token: str) -> Access:
    """Read tokens like `ada@100`: the user, and when it expires."""
    user_id, _, expires_at = token.partition("@")
    if not expires_at.isdecimal():
        raise UnauthenticatedError
    return Access(user_id, int(expires_at))


def auth(token: object) -> str:
    return json.dumps({"type": "auth", "accessToken": token})


def ending_of(conversation: Conversation, text: str | None, now: float = 0.0) -> Ending:
    with pytest.raises(EndedError) as caught:
        conversation.receive(text, now)
    return caught.value.ending


def test_a_token_on_the_handshake_opens_the_conversation() -> None:
    assert Conversation(verify).greet(["Bearer ada@100"]) == Access("ada", 100)


def test_a_handshake_without_a_token_waits_for_an_auth_message() -> None:
    conversation = Conversation(verify)
    assert conversation.greet([]) is None
    assert conversation.receive(auth("ada@100"), 0.0) == Access("ada", 100)


@pytest.mark.parametrize(
    "headers",
    [["Bearer nobody"], ["Bearer"], [""], ["Basic YWRhOmFkYQ=="], ["Bearer ada@100", "Bearer ada@100"]],
)
def test_an_invalid_token_on_the_handshake_is_rejected_without_waiting_for_a_message(
    headers: list[str],
) -> None:
    with pytest.raises(UnauthenticatedError):
        Conversation(verify).greet(headers)


@pytest.mark.parametrize("text", [auth("nobody"), auth(""), auth(None), '{"type": "auth"}'])
def test_an_auth_message_without_a_valid_token_is_rejected(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        Conversation(verify).receive(text, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "hello",
        "{}",
        "[]",
        "null",
        '"auth"',
        '{"type": "hello"}',
        '{"type": ["auth"], "accessToken": "ada@100"}',
        '{"type": "auth", "accessToken": 7}',
        '{"type": "auth", "accessToken": "ada@100"',
        '{"type": "auth", "accessToken": "\\ud800"}',
        "[" * 4000,
        '{"type": "auth", "accessToken": ' + "[" * 2000 + "]" * 2000 + "}",
        '{"type": "auth", "accessToken": ' + "9" * 4000 + "}",
    ],
)
def test_anything_but_an_auth_message_is_a_protocol_error(text: str | None) -> None:
    assert ending_of(Conversation(verify), text) is Ending.PROTOCOL


@given(st.text(max_size=MESSAGE_BYTES_MAX))
@example(auth("ada@100"))
def test_any_text_authenticates_the_client_or_closes_the_socket(text: str) -> None:
    try:
        access = Conversation(verify).receive(text, 0.0)
    except (EndedError, UnauthenticatedError):
        return
    assert access == verify(json.loads(text)["accessToken"])


def test_another_token_of_the_same_user_extends_the_conversation() -> None:
    conversation = Conversation(verify)
    conversation.greet(["Bearer ada@100"])
    assert conversation.receive(auth("ada@200"), 0.0) == Access("ada", 200)


def test_an_older_token_does_not_shorten_the_conversation() -> None:
    conversation = Conversation(verify)
    conversation.greet(["Bearer ada@200"])
    assert conversation.receive(auth("ada@100"), 0.0) == Access("ada", 200)


def test_a_token_of_another_user_is_rejected() -> None:
    conversation = Conversation(verify)
    conversation.greet(["Bearer ada@100"])
    with pytest.raises(UnauthenticatedError):
        conversation.receive(auth("bob@200"), 0.0)


def test_ten_messages_a_minute_are_enough() -> None:
    conversation = Conversation(verify)
    for n in range(10):
        conversation.receive(auth("ada@100"), float(n))
    assert ending_of(conversation, auth("ada@100"), 59.0) is Ending.TOO_MANY_MESSAGES


def test_a_client_within_the_message_rate_may_send_for_ever() -> None:
    conversation = Conversation(verify)
    for n in range(100):
        conversation.receive(auth("ada@100"), n * 6.0)


@pytest.mark.parametrize(
    ("origins", "host"),
    [
        ([], "play.local"),
        ([], None),
        (["https://play.example.org"], "api.example.org"),
        (["https://PLAY.example.org"], "api.example.org"),
        (["http://127.0.0.1:8080"], "127.0.0.1:8080"),
        (["https://Laurel.local"], "laurel.local"),
        (["http://[::1]:8080"], "[::1]:8080"),
    ],
)
def test_pages_of_the_same_host_listed_pages_and_programs_may_open_a_socket(
    origins: list[str], host: str | None
) -> None:
    assert allows_origin(origins, host, ALLOWED)


@pytest.mark.parametrize(
    ("origins", "host"),
    [
        (["https://evil.example.org"], "play.local"),
        (["null"], "play.local"),
        ([""], ""),
        (["http://"], ""),
        (["https://play.local"], None),
        (["http://play.example.org"], "api.example.org"),
        (["https://play.example.org:8443"], "api.example.org"),
        (["https://play.example.org.evil.org"], "api.example.org"),
        (["https://evil@play.local"], "play.local"),
        (["https://play.local/"], "play.local"),
        (["http://play.local:8081"], "play.local:8080"),
        (["ftp://play.local"], "play.local"),
        (["http://[::1"], "play.local"),
        (["https://play.example.org", "https://play.example.org"], "api.example.org"),
    ],
)
def test_no_other_page_may_open_a_socket(origins: list[str], host: str | None) -> None:
    assert not allows_origin(origins, host, ALLOWED)
