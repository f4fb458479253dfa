"""The embedded stack: everything Laurel needs on one machine, started as child processes.

It finds or starts PostgreSQL and Valkey, makes a development certificate authority, keys and a policy, and
starts the score service and the action gateway. It is for development and for tests: it must not be part of
a deployment, and it imports neither service, which it knows only by command line, environment and files.

Exceptions:

    LocalStackError
    ├── MissingServerError       a program that the stack needs is not installed
    ├── ServerFailedError        a child process ended or did not get ready
    ├── ServerUnavailableError          a server given by DATABASE_URL or REDIS_URL does not answer
    ├── PortInUseError           a port that was asked for is taken
    └── StateInUseError          another stack runs on the same state folder
"""
