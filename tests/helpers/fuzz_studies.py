"""Study files that nobody would write: changed copies of the real ones, and files made from the schema.

``python tests/helpers/fuzz_studies.py --cases 10000`` tries that many. A study file is accepted, or
refused by a `StudyError` that lists every error; any other exception is a bug and is reported with the file.
"""

import argparse
import copy
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from postarrest.data import contract
from postarrest.places import ROOT
from postarrest.study import load, schema

STUDIES = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "params").glob("*.yaml"))
    if path.stem != "published"
}
# Values that software trips over, whatever is expected.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**17, 10**40, -0.0, 0.5, 1e-300, 1e300),
    *("", " ", "a", "../../x", "a/b", "*", "?", "[", "{row}", "nan", "1e-3", "ask", "ct", "ensemble", "cpc"),
    *("<script>", "=1+1", "{x}", "%s", "漢字", "é", "\u202e", "x" * 5000, "-", "#", "y_good", "/dev/null"),
    *([], {}, [[]], [None], [1], [""], ["ct"], ["ct", "ct"], {"": ""}, {"a": None}, {"a": []}, {"a": {}}),
    *(
        {1: 2},
        {None: None},
        {True: False},
        {"a": {"algorithm": "cnn"}},
        {"choices": []},
        {"low": 1, "high": 0},
    ),
)
# Lines that only a text can have.
ODD_LINES = (
    *("a: &x 1", "b: *x", "? [1]\n: 2", "? {a: 1}\n: 2", "<<: {a: 1}", "- a", "\tb: 1", "a: 010", "a: 1:30"),
    *("a: .nan", "a: -.inf", "a: !!int x", "a: !!python/name:os.system", '"\\ud800": 1', 'a: "\\0"', "---"),
    *(
        "a: " + "[" * 3000,
        "a: " + "9" * 10000,
        "a: 2020-99-99",
        "a: 1e400",
        "=: 1",
        "%YAML 9.9",
        "...",
        "@",
        "`",
    ),
)
KEYS = (
    *schema.declared_parameters("01_cohort"),
    *schema.declared_parameters("03_cnn"),
    *schema.declared_parameters("04_stacking"),
    *list(contract.COLUMNS)[:12],
    *("logistic", "forest", "stack", "choices", "low", "high", "C", "algorithm", "predictors", "exclusions"),
)


def places(content: Any, place: tuple = ()) -> list[tuple]:
    """Every place in nested values, as the keys that lead to it."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    found = []
    for key, value in items if isinstance(content, dict | list) else ():
        found += [(*place, key), *(places(value, (*place, key)) if isinstance(value, dict | list) else [])]
    return found


def value(rng: random.Random, depth: int = 0) -> Any:
    """Return a random value, odd or nested."""
    kind = rng.random()
    if kind < 0.7 or depth > 3:
        return copy.deepcopy(rng.choice(ODD))
    if kind < 0.85:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def of_its_type(old: Any, rng: random.Random) -> Any:
    """Return another value of the same type, so that a change is found only where values are checked."""
    if isinstance(old, dict):
        return {rng.choice(KEYS): value(rng, 2) for _ in range(rng.randrange(3))}
    if isinstance(old, list):
        return [
            *rng.sample(old, rng.randrange(len(old) + 1)),
            *(value(rng, 4) for _ in range(rng.randrange(2))),
        ]
    alike = [odd for odd in ODD if type(odd) is type(old)]
    return rng.choice(alike) if alike else value(rng)


def changed(content: dict, rng: random.Random) -> dict:
    """Return a copy of a study file's content with one to four changes."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        where = rng.choice(places(content) or [()])
        if not where:
            break
        parent = content
        for key in where[:-1]:
            parent = parent[key]
        what = rng.random()
        if what < 0.4:
            parent[where[-1]] = of_its_type(parent[where[-1]], rng)
        elif what < 0.6:
            parent[where[-1]] = value(rng)
        elif what < 0.75:
            del parent[where[-1]]
        elif isinstance(parent, dict):
            parent[rng.choice(KEYS)] = value(rng)
        else:
            parent.append(value(rng))
    return content


def from_schema(rng: random.Random) -> dict:
    """Return sections with known keys, whose values are defaults or odd."""
    content: dict[str, Any] = {"study": copy.deepcopy(rng.choice(list(STUDIES.values()))["study"])}
    for notebook in rng.sample(load.NOTEBOOKS, rng.randrange(1, 5)):
        declared = list(schema.declared_parameters(notebook).values())
        chosen = rng.sample(declared, rng.randrange(1, min(5, len(declared))))
        content[notebook] = {
            p.name: of_its_type(p.default, rng) if rng.random() < 0.8 else value(rng) for p in chosen
        }
    return content


def text(rng: random.Random) -> str:
    """Return the text of one study file."""
    content = changed(rng.choice(list(STUDIES.values())), rng) if rng.random() < 0.6 else from_schema(rng)
    written = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    kind = rng.random()
    if kind < 0.15:
        lines = written.splitlines()
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(("", "  ")) + rng.choice(ODD_LINES))
        return "\n".join(lines)
    if kind < 0.25:
        place = rng.randrange(len(written))
        return (
            written[:place]
            + rng.choice("\0\t:#[]{}&*!|>'\"%@`\x7f\ufeff")
            + written[place + rng.randrange(3) :]
        )
    return written


def outcome(content: str, root: Path) -> str:
    """Load a study file as the pipeline does; return ``accepted`` or ``refused``."""
    (root / "params").mkdir(exist_ok=True)
    (root / "params" / "mine.yaml").write_text(content, encoding="utf-8", errors="surrogatepass")
    environment = {"POSTARREST_DATA": str(root), "POSTARREST_SCORES": str(root / "params" / "mine.yaml")}
    try:
        load.load("mine", root=root, environment=environment)
    except schema.StudyError as error:
        assert str(error).strip(), "no message"
        return "refused"
    return "accepted"


def project(folder: Path) -> Path:
    """Give a folder the real notebooks, whose parameters cells are a part of the schema."""
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = project(Path(folder))
        for number in range(given.cases):
            content = text(random.Random(f"{given.seed} {number}"))
            try:
                found[outcome(content, root)] += 1
            except Exception as error:
                found["other exceptions"] += 1
                print(f"--- case {number}: {type(error).__name__}: {error}\n{content[:1500]}\n")
    print(f"{given.cases} study files: {', '.join(f'{n} {what}' for what, n in found.items())}")
    if found["other exceptions"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
