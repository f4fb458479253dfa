"""The score service: it writes awards to the record, projects them into ranks and streams what changes.

It is internal: every call comes over mTLS from a caller that the policy names. It knows nothing of
puzzles, users' names or HTTP clients; it shares only the contract (`score_api`) with anyone.
"""
