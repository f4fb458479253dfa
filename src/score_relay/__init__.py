"""The relay: sends the entries of boards to webhooks, as CloudEvents that are signed.

It is a client of the score service and keeps nothing but how far each receiver is, and what one did not take.
"""
