"""The component that archives old awards."""

from pathlib import Path

import click
import yaml
from tests.deploy.rendering import DEPLOY, Manifests, render

from score_service.commands import main

_CLAIM = "score-service-ledgers"
_PAGE = DEPLOY.parent / "docs/operations/retention.md"


def _archiving() -> Manifests:
    return render("retention")


def test_nothing_is_archived_without_the_component(scene: Manifests) -> None:
    commands = [str(container.get("command")) for pod in scene.pods() for container in pod.containers]
    retention = any(pod.name == "score-service-retention" for pod in scene.pods())
    assert any("archive" in command for command in commands) == retention


def test_one_job_at_a_time_archives_by_the_clock() -> None:
    (cron,) = (one for one in _archiving().of("CronJob") if "archive" in one["metadata"]["name"])
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert "suspend" not in cron["spec"]


def test_the_files_are_on_a_claim_that_no_delete_of_the_set_takes_away() -> None:
    pod = _archiving().pod("score-service-retention")
    (container,) = pod.containers
    (volume,) = (one for one in pod.spec["volumes"] if "persistentVolumeClaim" in one)
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == volume["name"])
    assert volume["persistentVolumeClaim"]["claimName"] == _CLAIM
    assert container["command"] == ["score-service", "ledger", "archive", mount["mountPath"]]
    assert not _archiving().of("PersistentVolumeClaim")


def test_the_program_takes_what_it_is_asked_for(tmp_path: Path) -> None:
    (container,) = _archiving().pod("score-service-retention").containers
    ledger = main.commands["ledger"]
    assert isinstance(ledger, click.Group)
    given = ledger.commands["archive"].make_context("archive", [str(tmp_path), *container["args"]]).params

    assert (given["board_ids"], given["older_than"]) == ((), 365)
    assert (given["forget_ids_after"], given["dry_run"]) == (None, False)


def test_the_page_says_which_claim_to_make() -> None:
    blocks = _PAGE.read_text(encoding="utf-8").split("```yaml\n")[1:]
    documents = [yaml.safe_load(block.split("```")[0]) for block in blocks]
    (claim,) = (one for one in documents if one.get("kind") == "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == _CLAIM
