"""A backend of its own awards points, and reads the leaderboard.

Run it as often as you like: each run is a new award. Give `award()` an `award_id` that names what happened,
and the award takes effect once, however often the call is repeated.
"""

import asyncio
from pathlib import Path

from score_client import ClientCredentials, ScoreClient

TARGET = "dns:///localhost:50051"
CERTIFICATES = Path(__file__).with_name("certificates")


async def main() -> None:
    """Award ten points to Ada and print the top five."""
    credentials = ClientCredentials(
        ca_file=CERTIFICATES / "ca.pem",
        certificate_file=CERTIFICATES / "sample-backend.pem",
        key_file=CERTIFICATES / "sample-backend-key.pem",
    )
    async with ScoreClient(TARGET, credentials=credentials) as client:
        award = await client.award(
            board_id="main", user_id="ada", points=10, action_type="sample", action_id="hello"
        )
        print(f"+{award.points} for ada: {award.total} points, rank {award.rank}, revision {award.revision}")
        view = await client.list_standings(board_id="main", page_size=5, min_revision=award.revision)
        for standing in view.standings:
            print(f"{standing.rank:>4}  {standing.total:>8}  {standing.user_id}")


if __name__ == "__main__":
    asyncio.run(main())
