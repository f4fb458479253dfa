"""The checker: pure functions that find what contradicts the guarantees.

It imports nothing of the services: what they guarantee is specified here a second time, on purpose. A module
holds the rules of one kind of evidence; `checker` applies all of them.
"""
