"""The bodies of requests and answers, in camelCase. A field that is not described makes a request invalid."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue

from action_gateway.accounts.password_form import prepare
from action_gateway.domain.action import ActionId, Kind, Repeat
from action_gateway.domain.payment import Payment
from action_gateway.routes.bodies import Body, RequestBody

Username = Annotated[str, Field(min_length=3, max_length=32, pattern=r"^[A-Za-z0-9_.-]+$")]


def _prepare(password: object) -> object:
    return prepare(password) if isinstance(password, str) else password


NewPassword = Annotated[
    str,
    BeforeValidator(_prepare),
    Field(min_length=8, max_length=128, description="measured in the form OpaqueString of RFC 8265"),
]
Password = Annotated[str, Field(min_length=1, max_length=512)]
"""As it is typed: that many characters may make 128 in NFC, see UAX #15."""
Token = Annotated[str, Field(min_length=1, max_length=4096)]


class Registration(RequestBody):
    """A new user. Names that differ by letter case alone are the same."""

    username: Username
    password: NewPassword


class Credentials(RequestBody):
    """The name and the password of a user who logs in."""

    username: Username
    password: Password


class RefreshToken(RequestBody):
    """The newest refresh token of a session."""

    refresh_token: Token


class Deletion(RequestBody):
    """The password of an account that is to be deleted."""

    password: Password


class Start(RequestBody):
    """What to start."""

    action_id: ActionId


class Proof(RequestBody):
    """That the action was done."""

    answer: Annotated[
        str,
        Field(
            max_length=1000,
            description="as typed: letter case, the kind of quotation marks and dashes, invisible characters "
            "and spaces around words do not count; a number may have grouped digits and a unit of the action",
        ),
    ]


class Completion(RequestBody):
    """The answer to a started action."""

    action_token: Token
    proof: Proof


class Performing(RequestBody):
    """An instant action to do."""

    action_id: ActionId
    data: JsonValue = Field(default=None, description="what belongs to it; becomes a part of the result")


class ScoreUpdate(RequestBody):
    """The result of an instant action, as it was given with the ticket."""

    data: JsonValue


class User(Body):
    """A player."""

    user_id: str
    username: str


class Registered(Body):
    """The user that was made."""

    user: User


class LoggedIn(Body):
    """What speaks for the user from now on."""

    access_token: str
    refresh_token: str
    expires_in: int = Field(description="seconds that the access token is good for")
    user: User


class ListedAction(Body):
    """An action that can be started, or performed if it is instant."""

    action_id: str
    kind: Kind
    title: str
    prompt: str
    points: int
    repeat: Repeat
    completed: bool = Field(description="it does not pay this user any more, or not today")


class ActionList(Body):
    """All actions, in the order in which they are meant to be shown."""

    actions: list[ListedAction]


class ActionDetails(Body):
    """What to do."""

    action_id: str
    title: str
    prompt: str
    points: int


class Started(Body):
    """A started action. The token proves when it was started, and what for."""

    action_token: str
    expires_at: datetime
    action_details: ActionDetails


class Performed(Body):
    """An instant action that was done. The token is a ticket for its points."""

    message: str
    result: dict[str, JsonValue] = Field(description="to be sent with the ticket as it is")
    token: str
    expires_at: datetime


class ScoreUpdated(Body):
    """The points of a ticket that was redeemed now."""

    message: str
    status: Literal["success"] = "success"
    score_increase: int
    new_total_score: int = Field(description="the user's total right after these points")
    new_rank: int | None = Field(description="1 for the best; null where it is not known")


class Completed(Payment):
    """The points of an action that was completed now."""

    success: Literal[True] = True
