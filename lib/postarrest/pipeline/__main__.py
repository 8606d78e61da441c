"""Run a command of the pipeline: ``python -m postarrest.pipeline --help``."""

import sys

from postarrest.pipeline import running

if __name__ == "__main__":
    with running.ended_in_words():
        # Only now: an interruption meanwhile ends in words too.
        from postarrest.pipeline.steps import main

        sys.exit(main())
