"""Run a command of the pipeline: ``python -m postarrest.pipeline --help``."""

import sys

from postarrest.pipeline.steps import main

if __name__ == "__main__":
    sys.exit(main())
