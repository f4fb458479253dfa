"""The action gateway: the public edge. Players log in, do actions, and watch the leaderboard.

It keeps users, actions and attempts in a PostgreSQL schema of its own and asks the score service, through
`score_client` alone, to award points. It never imports gRPC, protobuf or the score service, and it keeps no
books of awards: the ledger of the score service is the only record of who got what.
"""
