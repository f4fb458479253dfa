"""Starting and completing actions."""

from tests.fixtures.gateway import Player


async def test_a_right_answer_pays_its_points(player: Player) -> None:
    token = await player.start()
    response = await player.complete(token)

    assert response.status_code == 200, response.text
    assert response.json() == {"success": True, "pointsEarned": 5, "newTotalScore": 5, "newRank": 1}
