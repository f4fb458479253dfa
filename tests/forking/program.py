"""`python -m tests.forking.program CODE ARGUMENTS…`: runs the code as its own, like `python -c`."""

import sys

exec(sys.argv[1])
