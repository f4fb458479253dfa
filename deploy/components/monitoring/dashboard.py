"""Writes the Grafana dashboard to standard output: `make dashboard` keeps it as `dashboard.json`.

Every query names its namespaces, and none sums over boards or users, of which no metric tells.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh, VariableSort

_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH: Final = 8
_HEIGHT: Final = 8
_HERE: Final = 'namespace=~"$namespace"'
_JOBS: Final = f'{_HERE},job=~"score-service|action-gateway|score-relay"'
_AWARDS: Final = f'{_HERE},grpc_method=~"AwardPoints|BatchAwardPoints"'
_COMPLETE: Final = f'{_HERE},route="/api/v1/actions/complete"'


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph: what it shows, in which of Grafana's units, and its queries by their legends."""

    title: str
    text: str
    unit: str
    queries: dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: Sequence[Panel]


def _rate(metric: str, by: str = "", where: str = _HERE) -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{where}}}[$__rate_interval]))"


def _quantile(part: float, metric: str, where: str) -> str:
    return f"histogram_quantile({part}, {_rate(metric, 'le', where)})"


def _most(metric: str, by: str = "") -> str:
    return f"max{f' by ({by})' if by else ''} ({metric}{{{_HERE}}})"


def _least(metric: str, by: str = "") -> str:
    return f"min{f' by ({by})' if by else ''} ({metric}{{{_HERE}}})"


def _left(metric: str) -> str:
    return f"{_least(metric)} - time()"


ROWS: Final = (
    Row(
        "The promise",
        (
            Panel(
                "Awards",
                "Awards made, and awards asked for again by another request: none of those counts twice.",
                "ops",
                {"made": _rate("laurel_awards_total"), "replayed": _rate("laurel_award_replays_total")},
            ),
            Panel(
                "Points",
                "Points of the awards made.",
                "pps",
                {"points": _rate("laurel_awarded_points_total")},
            ),
            Panel(
                "Award errors",
                "Of the awards asked for, those that failed by a fault of the service. 0.1 % may.",
                "percentunit",
                {
                    "5 minutes": _most("namespace:laurel_award_errors:ratio5m"),
                    "1 hour": _most("namespace:laurel_award_errors:ratio1h"),
                    "3 days": _most("namespace:laurel_award_errors:ratio3d"),
                },
            ),
            Panel(
                "Award calls by outcome",
                "Calls that award points, by how they ended.",
                "reqps",
                {"{{grpc_code}}": f"{_rate('grpc_server_handled_total', 'grpc_code', _AWARDS)} > 0"},
            ),
            Panel(
                "Awards of batches that failed",
                "While the call itself was OK.",
                "ops",
                {"{{reason}}": f"{_rate('laurel_batch_item_errors_total', 'reason')} > 0"},
            ),
            Panel(
                "Time of an award call",
                "From the start of a call to its end.",
                "s",
                {
                    "p50": _quantile(0.5, "grpc_server_handling_seconds_bucket", _AWARDS),
                    "p99": _quantile(0.99, "grpc_server_handling_seconds_bucket", _AWARDS),
                },
            ),
            Panel(
                "Calls by method",
                "All calls to the score service that have begun.",
                "reqps",
                {
                    "{{grpc_method}}": _rate(
                        "grpc_server_started_total", "grpc_method", f'{_HERE},grpc_service=~"score_api.*"'
                    )
                },
            ),
            Panel(
                "Calls without a result",
                "By reason, reads and watches included.",
                "reqps",
                {"{{reason}}": f"{_rate('laurel_rejected_total', 'reason')} > 0"},
            ),
            Panel(
                "Replicas",
                "How many can be scraped, and how many of them are ready.",
                "short",
                {
                    "{{job}} up": f"sum by (job) (up{{{_JOBS}}})",
                    "score-service ready": f"sum(laurel_ready{{{_HERE}}})",
                    "action-gateway ready": f"sum(gateway_ready{{{_HERE}}})",
                    "score-relay ready": f"sum(relay_ready{{{_HERE}}})",
                },
            ),
        ),
    ),
    Row(
        "Projection",
        (
            Panel(
                "Lag",
                "Awards that Redis lacks of the board furthest behind. No line: a store is unavailable.",
                "short",
                {"{{pod}}": _most("laurel_projection_lag_revisions", "pod")},
            ),
            Panel(
                "Drift",
                "Standings that differed in the last audit. Their boards are made anew.",
                "short",
                {"differed": _most("laurel_drift_standings"), "audited": _most("laurel_audited_standings")},
            ),
            Panel(
                "Rebuilds",
                "Boards made anew in Redis within ten minutes.",
                "short",
                {
                    "made anew": f"sum(increase(laurel_projection_rebuilds{{{_HERE}}}[10m]))",
                    "after an audit": f"sum(increase(laurel_audit_repairs{{{_HERE}}}[10m]))",
                    "for nothing": f"sum(increase(laurel_projection_rebuilds_given_up{{{_HERE}}}[10m]))",
                },
            ),
            Panel(
                "Rebuild progress",
                "Standings a second that rebuilds load into Redis, and steps that were sent again.",
                "cps",
                {
                    "standings": _rate("laurel_projection_rebuild_standings"),
                    "repeats": _rate("laurel_bulk_repeats"),
                },
            ),
            Panel(
                "Scans",
                "Times a second that all boards were compared with the record.",
                "cps",
                {"{{pod}}": _rate("laurel_projection_scans", "pod")},
            ),
            Panel(
                "Parts that are there",
                "1 where all replicas see PostgreSQL, Redis and each other.",
                "bool",
                {
                    "score-service {{part}}": _least("laurel_part_up", "part"),
                    "action-gateway {{part}}": _least("gateway_part_up", "part"),
                },
            ),
        ),
    ),
    Row(
        "Periods",
        (
            Panel(
                "Periods that are not final",
                "Of all boards; somebody has points in each.",
                "short",
                {"periods": _most("laurel_open_periods")},
            ),
            Panel(
                "Longest due",
                "How long the first of the periods that are due to be made final has been so.",
                "s",
                {"due": _most("laurel_period_close_due_seconds")},
            ),
            Panel(
                "Closed",
                "Periods made final within ten minutes.",
                "short",
                {"{{pod}}": f"sum by (pod) (increase(laurel_periods_closed{{{_HERE}}}[10m]))"},
            ),
            Panel(
                "Archived",
                "Standings a second that are archived with their ranks, or found archived.",
                "cps",
                {"{{pod}}": _rate("laurel_period_archived_standings", "pod")},
            ),
            Panel(
                "Time zone data",
                "Replicas by the version that they work periods out from.",
                "short",
                {"{{version}}": f"count by (version) (laurel_zone_data_info{{{_HERE}}})"},
            ),
        ),
    ),
    Row(
        "Stream",
        (
            Panel(
                "Watches",
                "Of the leaderboard, over gRPC.",
                "short",
                {"{{pod}}": _most("laurel_watchers", "pod")},
            ),
            Panel(
                "Sockets",
                "Open WebSockets and event streams.",
                "short",
                {"{{kind}}": f"sum by (kind) (gateway_sockets{{{_HERE}}})"},
            ),
            Panel(
                "Followed leaderboards",
                "All time, and each period that somebody follows.",
                "short",
                {"{{pod}}": _most("gateway_leaderboard_feeds", "pod")},
            ),
            Panel(
                "Messages to sockets",
                "By kind and event.",
                "ops",
                {"{{kind}} {{event}}": _rate("gateway_socket_messages_sent_total", "kind, event")},
            ),
            Panel(
                "Watches ended",
                "Too slow, or one too many.",
                "ops",
                {
                    "all": _rate("laurel_rejected_total", where=f'{_HERE},reason="WATCHER_EVICTED"'),
                    "too slow": _rate("laurel_watchers_evicted_total"),
                },
            ),
            Panel(
                "Sockets ended",
                "By the gateway, by reason.",
                "ops",
                {"{{reason}}": f"{_rate('gateway_socket_evictions_total', 'reason')} > 0"},
            ),
        ),
    ),
    Row(
        "Edge",
        (
            Panel(
                "Requests",
                "To the gateway, by status.",
                "reqps",
                {"{{status}}": _rate("gateway_requests_total", "status")},
            ),
            Panel(
                "Problems",
                "Requests that failed, by code.",
                "reqps",
                {"{{code}}": f"{_rate('gateway_problems_total', 'code')} > 0"},
            ),
            Panel(
                "Time of an answer",
                "From the start of `actions/complete` to its end.",
                "s",
                {
                    "p50": _quantile(0.5, "gateway_request_seconds_bucket", _COMPLETE),
                    "p99": _quantile(0.99, "gateway_request_seconds_bucket", _COMPLETE),
                },
            ),
            Panel(
                "Sessions",
                "Requests to register, log in, refresh and log out, by status.",
                "reqps",
                {
                    "{{route}} {{status}}": _rate(
                        "gateway_requests_total", "route, status", f'{_HERE},route=~"/api/v1/auth/.*"'
                    )
                },
            ),
            Panel(
                "Suspicions",
                "What looks like cheating or breaking in. It is no proof.",
                "reqps",
                {"{{signal}}": f"{_rate('gateway_suspicions_total', 'signal')} > 0"},
            ),
            Panel(
                "Rate limits",
                "Requests rejected, by limit.",
                "reqps",
                {"{{limit}}": f"{_rate('gateway_rate_limited_total', 'limit')} > 0"},
            ),
            Panel(
                "Tickets of outside issuers",
                "Tickets rejected, by issuer and reason.",
                "reqps",
                {
                    "{{issuer}} {{reason}}": (
                        f"{_rate('gateway_tickets_rejected_total', 'issuer, reason')} > 0"
                    )
                },
            ),
            Panel(
                "Denied callers",
                "Calls and awards that the policy does not allow.",
                "reqps",
                {"{{identity}} {{reason}}": f"{_rate('laurel_denied_total', 'identity, reason')} > 0"},
            ),
            Panel(
                "Points surges",
                "Users who gained points out of the ordinary.",
                "short",
                {"surges": f"sum(increase(laurel_points_surges_total{{{_HERE}}}[10m]))"},
            ),
            Panel(
                "Corrections",
                "Awards taken back, and users hidden or shown.",
                "short",
                {"{{kind}}": f"sum by (kind) (increase(laurel_corrections_total{{{_HERE}}}[10m]))"},
            ),
        ),
    ),
    Row(
        "Saturation",
        (
            Panel(
                "Room taken",
                "Of the fullest replica, by resource. An alert begins at 80 %.",
                "percentunit",
                {"{{job}} {{resource}}": _most("namespace:laurel_saturation:ratio", "job, resource")},
            ),
            Panel(
                "Rejected for want of room",
                "Calls and requests.",
                "reqps",
                {
                    "score-service": _rate("laurel_rejected_total", where=f'{_HERE},reason="OVERLOADED"'),
                    "action-gateway": _rate("gateway_requests_rejected_total"),
                },
            ),
            Panel(
                "Under way",
                "Calls, awards, requests.",
                "short",
                {
                    "calls": _most("laurel_calls_under_way"),
                    "awards": _most("laurel_awards_waiting"),
                    "requests": _most("gateway_requests_under_way"),
                },
            ),
            Panel(
                "Waiting for PostgreSQL",
                "Statements that wait for a connection, of the replica where they are most.",
                "short",
                {
                    "score-service": _most("laurel_database_waiting"),
                    "action-gateway": _most("gateway_database_waiting"),
                },
            ),
            Panel(
                "Passwords",
                "Hashed, or waiting for that.",
                "short",
                {"{{pod}}": _most("gateway_passwords_under_way", "pod")},
            ),
            Panel(
                "CPU",
                "Of a process. One event loop can use one CPU.",
                "percentunit",
                {"{{pod}}": f"max by (pod) (rate(process_cpu_seconds_total{{{_JOBS}}}[$__rate_interval]))"},
            ),
            Panel(
                "Memory",
                "Resident, of a process.",
                "bytes",
                {"{{pod}}": f"max by (pod) (process_resident_memory_bytes{{{_JOBS}}})"},
            ),
            Panel(
                "Tasks",
                "Of the event loop of a process.",
                "short",
                {
                    "{{pod}} (score-service)": _most("laurel_tasks", "pod"),
                    "{{pod}} (action-gateway)": _most("gateway_tasks", "pod"),
                },
            ),
        ),
    ),
    Row(
        "Webhooks",
        (
            Panel(
                "Deliveries",
                "Events that receivers took, and attempts that failed.",
                "ops",
                {
                    "{{receiver}} took": _rate("relay_events_delivered_total", "receiver"),
                    "{{receiver}} failed": _rate("relay_attempts_failed_total", "receiver"),
                },
            ),
            Panel(
                "Behind",
                "How long ago the oldest entry was recorded that is being delivered.",
                "s",
                {"{{receiver}}": _most("relay_lag_seconds", "receiver")},
            ),
            Panel(
                "Dead letters and stopped boards",
                "Events in the store that were given up, and boards of which nothing is sent.",
                "short",
                {
                    "{{receiver}} dead letters": _most("relay_dead_letters", "receiver"),
                    "{{receiver}} stopped": _most("relay_stopped", "receiver"),
                },
            ),
        ),
    ),
    Row(
        "Certificates",
        (
            Panel(
                "Certificates end in",
                "The first to end, of each service. They are renewed at a third of their life.",
                "s",
                {
                    "score-service": _left("laurel_certificate_not_after_timestamp_seconds"),
                    "action-gateway": _left("gateway_certificate_not_after_timestamp_seconds"),
                },
            ),
            Panel(
                "Authorities end in",
                "The first to end of those that are needed.",
                "s",
                {
                    "score-service": _left("laurel_authority_not_after_timestamp_seconds"),
                    "action-gateway": _left("gateway_authority_not_after_timestamp_seconds"),
                },
            ),
            Panel(
                "Faulty certificate files",
                "1 while new files cannot be taken and older ones are in use.",
                "bool",
                {
                    "score-service": _most("laurel_certificate_faulty"),
                    "action-gateway": _most("gateway_certificate_faulty"),
                },
            ),
        ),
    ),
)


def make_dashboard() -> str:
    """Make the dashboard as Grafana imports it."""
    built = (
        dashboard.Dashboard("Laurel")
        .uid("laurel")
        .tags(["laurel"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("namespace")
            .label("Namespace")
            .datasource(_SOURCE)
            .query("label_values(laurel_build_info, namespace)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
        )
    )
    numbers = itertools.count(1)
    for row in ROWS:
        built.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            built.with_panel(_make_panel(panel).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def _make_panel(panel: Panel) -> timeseries.Panel:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.text)
        .unit(panel.unit)
        .min(0)
        .datasource(_SOURCE)
        .span(_WIDTH)
        .height(_HEIGHT)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for letter, (legend, expr) in zip(ascii_uppercase, panel.queries.items(), strict=False):
        query = prometheus.Dataquery().ref_id(letter).datasource(_SOURCE)
        made.with_target(query.expr(expr).legend_format(legend).range())
    return made


if __name__ == "__main__":
    sys.stdout.write(make_dashboard())
