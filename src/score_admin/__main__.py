"""Run the command."""

from score_admin.commands import main

if __name__ == "__main__":
    main()
