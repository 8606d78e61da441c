"""Write a simulated study: python -m postarrest.simulate --settings JSON --out FOLDER."""

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path

from postarrest.simulate import Settings, write_study


def main() -> int:
    """Read the settings, write the study; 2 where the settings are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m postarrest.simulate", description="Write a simulated study."
    )
    parser.add_argument("--settings", default="{}", help="settings as JSON, or a JSON file; see Settings")
    parser.add_argument(
        "--out", required=True, type=Path, help="the study's data folder, made or replaced whole"
    )
    arguments = parser.parse_args()
    text = arguments.settings
    if not text.lstrip().startswith("{"):
        text = Path(text).read_text(encoding="utf-8")
    given = json.loads(text)
    known = [field.name for field in fields(Settings)]
    unknown = [name for name in given if name not in known]
    if unknown:
        print(
            f"simulate: unknown settings {', '.join(unknown)}; known are {', '.join(known)}", file=sys.stderr
        )
        return 2
    try:
        settings = Settings(**given)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    write_study(settings, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
