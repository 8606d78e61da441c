"""Write a simulated study: python -m postarrest.simulate --settings JSON --out FOLDER."""

import argparse
import json
from dataclasses import fields
from pathlib import Path

from pydantic import ValidationError

from postarrest.simulate.settings import Settings
from postarrest.simulate.write import write_study


def main() -> None:
    """Check the settings and write the study; exit with 2 and one line per error if they are wrong."""
    parser = argparse.ArgumentParser(prog="python -m postarrest.simulate", description=__doc__)
    parser.add_argument("--settings", default="{}", help="settings as JSON; default: the hold-out study's")
    parser.add_argument("--out", required=True, type=Path, help="data folder, created or replaced")
    arguments = parser.parse_args()
    try:
        settings = Settings(**json.loads(arguments.settings))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors()]
        known = ", ".join(field.name for field in fields(Settings))
        parser.error("\n".join(["wrong settings", *lines, f"The settings are {known}."]))
    write_study(settings, arguments.out)


if __name__ == "__main__":
    main()
