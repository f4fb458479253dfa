"""`score-admin`: what operators do with boards, over mutual TLS and with an identity of their own.

It is a client like any other: the policy of the score service says what its identity may do, and the ledger
says what it did, for whom and why.
"""
