"""How reconciliation that failed is logged; a later scan tries again."""

import structlog

from score_service.errors import BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError
from service_runtime.telemetry.logs import error_fields

_log = structlog.get_logger(__name__)


def log_failure(error: BaseException, board_id: str = "") -> None:
    """Log why a scan or a repair failed: an error that is none of those expected with its stack trace."""
    if isinstance(error, (BoardNotFoundError, ProjectionUnavailableError, RecordUnavailableError)):
        _log.warning("reconcile_interrupted", board_id=board_id, **error_fields(error))
    else:
        _log.error("reconcile_failed", board_id=board_id, exc_info=error)
