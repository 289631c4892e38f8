"""`python -m memhost`: the command line."""

from memhost.cli import main

if __name__ == "__main__":
    main()
