"""What was found: counted whole, kept in part, said in words."""

import pytest

from score_service.domain.ledger.findings import Fault, Finding, Findings


def test_all_are_counted_and_only_the_first_are_kept() -> None:
    findings = Findings()
    assert len(findings) == 0

    for revision in range(1, 1001):
        findings.add(Fault.DIGEST_WRONG, revision)
    findings.add(Fault.BOARD_WRONG)

    assert len(findings) == 1001
    assert findings.counts == {Fault.DIGEST_WRONG: 1000, Fault.BOARD_WRONG: 1}
    assert findings.kept == [Finding(Fault.DIGEST_WRONG, revision) for revision in range(1, 21)]


@pytest.mark.parametrize(
    ("finding", "place"),
    [
        (Finding(Fault.BOARD_WRONG), ""),
        (Finding(Fault.BOARD_WRONG, 12345), "revision 12,345: "),
        (Finding(Fault.BOARD_WRONG, user_id="ada"), "user ada: "),
        (Finding(Fault.BOARD_WRONG, 2, "ada"), "revision 2, user ada: "),
    ],
)
def test_finding_names_the_place_and_the_fault(finding: Finding, place: str) -> None:
    assert str(finding) == f"{place}the board's row does not say where the ledger ends"
