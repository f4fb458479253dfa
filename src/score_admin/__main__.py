"""`python -m score_admin` is `score-admin`."""

from score_admin.commands import main

if __name__ == "__main__":
    main()
