"""What all bodies of requests and answers have in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Body(BaseModel):
    """A JSON object with names in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True)


class RequestBody(Body):
    """What a client sends: with fields of the types described, and no others."""

    model_config = ConfigDict(
        validate_by_name=False, validate_by_alias=True, extra="forbid", strict=True, hide_input_in_errors=True
    )
