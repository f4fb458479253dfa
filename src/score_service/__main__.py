"""The program `score-service`, whose commands are in `commands.py`."""

from service_runtime.lifecycle import postpone_gc


def main() -> None:
    """Run a command, without a collection of garbage before it begins."""
    postpone_gc()
    from score_service.commands import main as run  # noqa: PLC0415  # Its imports are what it is postponed for.

    run()


if __name__ == "__main__":
    main()
