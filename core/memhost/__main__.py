"""`python -m memhost`: the command line."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command line can tell what it means
    from memhost.cli import main

    main()
