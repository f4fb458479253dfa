"""What both services need to run, and any other service might: one technology a file, no domain.

It imports nothing else of this project. What a service is for (boards, actions) does not belong here.
"""
