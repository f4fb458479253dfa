"""The adapter of `score_client` with a mistake that a client may have: `python planted.py MISTAKE`.

They show that the kit finds them. A mistake that does not fit into the client any more fails at the start.
"""

import asyncio
import importlib.util
import math
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from grpc import StatusCode

from faults.launchers.patching import patch
from score_client import InvalidRequestError, ServiceFaultError, UnavailableError, errors
from score_client import client as client_module
from score_client.calls import awards as awards_module
from score_client.calls import watch
from score_client.calls.awards import Awards
from score_client.calls.entries import EntryReader
from score_client.calls.watch import Watcher
from score_client.transport import channel, connection, credentials, retry
from score_client.transport.channel import RenewedChannel
from score_client.transport.reopened import ReopenedStream

_PATH: Final = Path(__file__).parents[2] / "clients/python/adapter.py"
_SPEC: Final = importlib.util.spec_from_file_location("adapter", _PATH)
if _SPEC is None or _SPEC.loader is None:
    raise ImportError(_PATH)
adapter: Final = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(adapter)
Adapter: Final[Any] = adapter.Adapter


def _change_requests(change: Callable[[Any], None]) -> None:
    """Change the request of each try."""

    def make(send_once: Callable[..., Any]) -> Callable[..., Any]:
        async def send(self: Awards, request: Any, within: float) -> Any:
            other = type(request).FromString(request.SerializeToString())
            change(other)
            return await send_once(self, other, within)

        return send

    patch(Awards, "_send_once", make)


def _use_new_award_ids() -> None:
    def change(request: Any) -> None:
        request.award.award_id = str(uuid4())

    _change_requests(change)


def _use_new_request_ids() -> None:
    def change(request: Any) -> None:
        request.request_id = str(uuid4())

    _change_requests(change)


def _use_one_id() -> None:
    patch(client_module, "uuid4", lambda _: lambda: UUID(int=1))


def _treat(code: StatusCode, reason: str | None, kind: Any) -> None:
    patch(errors, "EXCEPTIONS", lambda table: {**table, (code, reason): kind})


def _retry_rejections() -> None:
    for code, reason in (
        (StatusCode.INVALID_ARGUMENT, None),
        (StatusCode.FAILED_PRECONDITION, "POSITION_UNKNOWN"),
        (StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"),
    ):
        _treat(code, reason, UnavailableError)


def _believe_faults_to_be_rejections() -> None:
    _treat(StatusCode.INTERNAL, None, InvalidRequestError)


def _call_without_deadline() -> None:
    def make(stub: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def without(channel: Any) -> Any:
            made = stub(channel)
            patch(
                made,
                "AwardPoints",
                lambda call: lambda request, **options: call(request, **_untimed(options)),
            )
            return made

        return without

    patch(connection, "ScoreServiceStub", make)


def _untimed(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "timeout"}


def _believe_silence_to_be_rejection() -> None:
    _treat_kind("unknown", "rejected")


def _treat_kind(kind: str, other: str) -> None:
    patch(adapter, "_kind_of", lambda read: lambda error: other if read(error) == kind else read(error))


def _come_early() -> None:
    patch(retry, "_asked_pause", lambda _: lambda _state: 0.0)


def _hurry() -> None:
    patch(retry, "_pauses", lambda _: lambda _within: lambda _state: 0.01)


def _hide_times() -> None:
    patch(errors, "_retry_after", lambda _: lambda _status: None)


def _repeat_batches() -> None:
    def make(award_many: Callable[..., Any]) -> Callable[..., Any]:
        async def twice(self: Any, asked: Any) -> Any:
            told = await award_many(self, asked)
            return await award_many(self, asked) if any("error" in one for one in told["answers"]) else told

        return twice

    patch(Adapter, "award_many", make)


def _take_any_reason() -> None:
    patch(errors, "DOMAIN", lambda _: "proxy.example")


def _forget_lost_answers() -> None:
    patch(awards_module, "_PASSING", lambda _: ())


def _tell(name: str, change: Callable[[Any], Any]) -> None:
    """Change what is told of an award or a standing."""

    def make(plain: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
        return lambda value: plain(value) | {name: change(getattr(value, name, None))}

    patch(adapter, "_plain", make)


def _read_numbers_as_floats() -> None:
    _tell("revision", lambda value: float(value or 0))


def _tell_zero_ranks() -> None:
    _tell("rank", lambda value: value or 0)


def _reject_what_is_not_known() -> None:
    def make(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def strict(response: Any) -> Any:
            if (
                response.source
                not in type(response).DESCRIPTOR.fields_by_name["source"].enum_type.values_by_number
            ):
                raise ServiceFaultError("MALFORMED_ANSWER", "An unknown source.")
            return decode(response)

        return strict

    patch(client_module, "decode_standings_view", make)


def _reject_unknown_messages() -> None:
    def make(decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def strict(message: Any) -> Any:
            if message.WhichOneof("message") is None:
                raise ServiceFaultError("MALFORMED_ANSWER", "An unknown message.")
            return decode(message)

        return strict

    patch(watch, "decode_event", make)


def _read_ahead() -> None:
    """Everything is read into a queue, and counts as handled there."""

    async def pump(stream: AsyncGenerator[Any, None], queue: "asyncio.Queue[Any]") -> None:
        try:
            async for event in stream:
                queue.put_nowait(event)
        except Exception as error:  # noqa: BLE001 - it is raised where the event is taken
            queue.put_nowait(error)

    async def ahead(stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        task = asyncio.create_task(pump(stream, queue))
        try:
            while True:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            task.cancel()

    for name in ("watch", "entries"):
        patch(client_module.ScoreClient, name, lambda read: lambda self, **asked: ahead(read(self, **asked)))


def _forget_where_to_begin() -> None:
    def make(begin: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, asked: begin(self, {**asked, "after_position": None})

    patch(Adapter, "watch", make)
    patch(Adapter, "entries", make)


def _begin_at_zero() -> None:
    def make(begin: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, asked: begin(self, {**asked, "after_position": asked["after_position"] or "0"})

    patch(Adapter, "entries", make)


def _trust_snapshots() -> None:
    def move_to(self: Watcher, event: Any) -> None:
        vars(self)["_request"].after_position = event.position

    patch(Watcher, "_move_to", lambda _: move_to)


_LEFT: Final[list[Any]] = []


def _leave_streams_open() -> None:
    def close(self: ReopenedStream[Any, Any]) -> None:
        _LEFT.append(vars(self)["_stream"])
        vars(self)["_stream"] = None

    patch(ReopenedStream, "close", lambda _: close)


def _open_two_streams() -> None:
    def make(open_stream: Callable[..., Any]) -> Callable[..., Any]:
        def twice(self: Watcher, stubs: Any) -> Any:
            _LEFT.append(open_stream(self, stubs))
            return open_stream(self, stubs)

        return twice

    patch(Watcher, "_open", make)


def _stay_where(holds: Callable[[Any], bool]) -> None:
    """Let the position of a feed stay where something holds of what was read."""

    def make(read: Callable[..., Any]) -> Callable[..., Any]:
        async def read_next(self: EntryReader) -> Any:
            before = vars(self)["_request"].after_position
            read_entries = await read(self)
            if holds(read_entries):
                vars(self)["_request"].after_position = before
            return read_entries

        return read_next

    patch(EntryReader, "_next", make)


def _read_entries_again() -> None:
    _stay_where(bool)


def _ignore_checkpoints() -> None:
    _stay_where(lambda read_entries: not read_entries)


def _believe_any_order() -> None:
    def make(decode: Callable[..., Any]) -> Callable[..., Any]:
        def believe(self: EntryReader, message: Any) -> Any:
            vars(self)["_revision"] = 0
            return decode(self, message)

        return believe

    patch(EntryReader, "_decode", make)


def _trust_everyone() -> None:
    def make(load: Callable[..., Any]) -> Callable[..., Any]:
        def load_more(self: credentials.ClientCredentials) -> Any:
            ca = Path(self.ca_file)
            foreign = (ca.parents[1] / "foreign/ca.pem").read_bytes()
            both = ca.with_name("both.pem")
            both.write_bytes(ca.read_bytes() + foreign)
            return load(replace(self, ca_file=both))

        return load_more

    patch(credentials.ClientCredentials, "load", make)


def _use_one_server() -> None:
    patch(connection, "HEALTHY_SERVERS", lambda _: {"loadBalancingConfig": [{"pick_first": {}}]})


def _ignore_health() -> None:
    patch(connection, "HEALTHY_SERVERS", lambda _: connection.ANY_SERVER)


def _send_everything_twice() -> None:
    def make(send_once: Callable[..., Any]) -> Callable[..., Any]:
        async def twice(self: Awards, request: Any, within: float) -> Any:
            return (await asyncio.gather(*(send_once(self, request, within) for _ in range(2))))[0]

        return twice

    patch(Awards, "_send_once", make)


def _never_read_files_again() -> None:
    async def stay(_self: RenewedChannel) -> None:
        await asyncio.sleep(0)

    patch(RenewedChannel, "_renew", lambda _: stay)


def _take_any_files() -> None:
    patch(credentials, "_parse", lambda parse: lambda *args: _Unchecked(parse(*args)))

    async def replace_at_once(self: RenewedChannel, loaded: Any) -> None:
        await asyncio.sleep(0)
        vars(self)["_current"] = connection.Connection(
            vars(self)["_target"], loaded, vars(self)["_server_name"]
        )

    patch(RenewedChannel, "_replace", lambda _: replace_at_once)


class _Unchecked:
    """A key or certificates that fit to everything."""

    def __init__(self, parsed: Any) -> None:
        self._parsed = parsed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parsed, name)

    def __iter__(self) -> Any:
        return iter(self._parsed)

    def __getitem__(self, index: int) -> Any:
        return _Unchecked(self._parsed[index])

    def public_key(self) -> int:
        return 0


def _trust_servers_for_ever() -> None:
    patch(channel, "have_expired", lambda _: lambda _target, _now: False)


def _use_proxies() -> None:
    def make(options: Any) -> Any:
        return tuple(option for option in options if option[0] != "grpc.enable_http_proxy")

    patch(connection, "OPTIONS", make)


def _send_much_metadata() -> None:
    def make(write: Callable[..., Any]) -> Callable[..., Any]:
        return lambda request, traced: (*write(request, traced), ("x-more", "x" * 5000))

    patch(awards_module, "_metadata", make)


def _wait_for_ever() -> None:
    def make(init: Callable[..., None]) -> Callable[..., None]:
        return lambda *args, **kwargs: init(*args, **{**kwargs, "stall_timeout": math.inf})

    patch(ReopenedStream, "__init__", make)


MISTAKES: Final[Mapping[str, tuple[Callable[[], None], frozenset[str]]]] = {
    plant.__name__.strip("_"): (plant, frozenset(cases))
    for plant, *cases in (
        (_use_new_award_ids, "a_lost_answer_is_asked_for_again", "chosen_ids_are_sent"),
        (_use_new_request_ids, "a_lost_answer_is_asked_for_again"),
        (_use_one_id, "awards_have_ids_of_their_own"),
        (
            _retry_rejections,
            "rejections_end_at_once",
            "a_rejected_watch_ends",
            "an_unknown_position_ends_a_feed",
            "an_archived_position_ends_a_feed",
        ),
        (_believe_faults_to_be_rejections, "a_fault_of_the_service_is_unknown"),
        (_call_without_deadline, "an_award_that_is_not_answered_is_unknown"),
        (_believe_silence_to_be_rejection, "an_award_that_is_not_answered_is_unknown"),
        (_come_early, "an_overloaded_service_is_left_alone", "an_evicted_watch_waits_as_asked"),
        (_hurry, "an_outage_is_no_reason_to_hurry", "a_watch_does_not_flood_in_an_outage"),
        (_hide_times, "a_quota_is_told_or_waited_for"),
        (_repeat_batches, "awards_of_a_batch_fail_alone"),
        (_take_any_reason, "reasons_of_others_are_none"),
        (_forget_lost_answers, "a_quota_after_a_lost_answer_is_unknown"),
        (_read_numbers_as_floats, "whole_numbers_are_exact"),
        (_tell_zero_ranks, "an_unset_rank_is_no_rank"),
        (_reject_what_is_not_known, "what_is_not_known_is_passed_over"),
        (_reject_unknown_messages, "an_unknown_message_moves_a_watch"),
        (
            _read_ahead,
            "a_watch_goes_on_after_what_was_handled",
            "a_feed_goes_on_after_what_was_handled",
            "a_slow_reader_holds_little",
        ),
        (_forget_where_to_begin, "a_watch_begins_where_it_is_told"),
        (_begin_at_zero, "a_feed_begins_at_the_start"),
        (_trust_snapshots, "a_resumed_snapshot_is_no_position"),
        (_leave_streams_open, "a_stopped_watch_ends_its_stream"),
        (_wait_for_ever, "a_silent_stream_is_given_up"),
        (_open_two_streams, "one_stream_at_a_time"),
        (_read_entries_again, "a_feed_goes_on_after_what_was_handled"),
        (_believe_any_order, "no_entry_comes_twice"),
        (_ignore_checkpoints, "what_is_no_entry_moves_a_feed"),
        (_trust_everyone, "a_foreign_server_gets_no_call"),
        (_use_one_server, "calls_go_round", "a_server_may_come_and_go"),
        (_ignore_health, "an_unhealthy_server_is_left_out"),
        (_send_everything_twice, "connections_end_by_age"),
        (_never_read_files_again, "a_renewed_certificate_is_shown", "a_new_authority_is_trusted"),
        (_take_any_files, "unfit_files_do_not_take_over"),
        (_trust_servers_for_ever, "an_expired_server_gets_no_call"),
        (_use_proxies, "no_proxy_is_used"),
        (_send_much_metadata, "metadata_is_small"),
    )
}
"""What plants each mistake, and the cases that find it, by its name."""

if __name__ == "__main__":
    MISTAKES[sys.argv[1]][0]()
    asyncio.run(adapter.main())
