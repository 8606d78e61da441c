"""Run a command of the pipeline: ``python -m postarrest.pipeline --help``."""

import sys

from postarrest.pipeline import running, warm

if __name__ == "__main__":
    with running.ended_in_words():
        status = warm.run(sys.argv[1:])
        if status is None:
            # Only now: an interruption meanwhile ends in words too.
            from postarrest.pipeline.steps import main

            status = main()
        sys.exit(status)
