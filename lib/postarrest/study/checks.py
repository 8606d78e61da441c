"""``docs/checks.md``: everything that is checked before and while a study runs, made from the code.

``python -m postarrest.study.checks`` renews it. Ranges come from the models of the settings and from the data
contract; other rules from the places in the source that report them, so none can be missing or out of date.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from postarrest import scores, simulate
from postarrest.data import contract
from postarrest.files import write_text
from postarrest.models import splits
from postarrest.places import ROOT
from postarrest.settings import TYPES_IN_WORDS
from postarrest.study import load, schema, sections

PATH = ROOT / "docs" / "checks.md"
_LIB = ROOT / "lib" / "postarrest"
# What reports an error or a remark, and where its rule, what was found and what was expected stand.
_REPORTERS = {
    "Finding": (1, 2, 3),
    "_refusal": (1, 2, 3),
    "in_rows": (2, None, 3),
    "Unreadable": (0, 1, 2),
    "OtherImage": (0, 1, 2),
    "Remark": (0, 1, 2),
}
_VARIES = "…"
_HEAD = """# What is checked

Made from the code by `make docs`; a test compares the list with the code. `…` stands for what differs from
case to case. All of it is checked before anything is computed: study files by every command, data by
`make check-data` and by the first step of `make report`, scores tables by `make evaluate`.
`make doctor` checks the machine. [Error messages for invalid data](broken-data.md) has the messages in full;
the [data dictionary](data-dictionary.md) explains the columns.
"""


def document() -> str:
    """Return the document."""
    parts = [
        _HEAD,
        "## Study file: values of each section\n",
        "A key that is not listed is an error, and so is a value of another type.\n",
        _table(["section", "key", "expected"], _values()),
        "## Study file: further rules\n",
        _table(["where", "expected, or what the message says"], _rules()),
        "## Columns of the tables\n",
        "Values outside *allowed* are errors; values outside *usual* are listed for a person to check.\n",
        _table(["table", "column", "allowed", "usual"], _columns()),
        "## Tables\n",
        _table(["rule", "found", "expected"], _reported("data/*.py", "study/against_data.py")),
        "## Images\n",
        _table(["rule", "found", "expected"], _reported("data/ct/*.py")),
        "## Scores tables\n",
        _table(["rule", "column, or what is found", "expected"], _of_scores()),
    ]
    return "\n".join(parts)


def _table(head: list[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *dict.fromkeys(rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _values() -> Iterator[tuple[str, str, str]]:
    """Yield every key of a study file, with what its value must be."""
    for section, model in (
        ("study", load.About),
        ("simulate", simulate.Settings),
        ("splits", splits.Settings),
    ):
        for key, expected in _fields(model):
            yield section, f"`{key}`", expected
    for notebook in load.NOTEBOOKS:
        checked = {k: e for model in sections.MODELS.get(notebook, ()) for k, e in _fields(model)}
        for name, parameter in schema.declared_parameters(notebook).items():
            if name in load.SET_BY_PIPELINE:
                continue
            kind = TYPES_IN_WORDS[parameter.type.__name__]
            yield notebook, f"`{name}`", checked.pop(name, kind)
            inside = [key for key in checked if key.split(".")[0] == name]
            yield from ((notebook, f"`{key}`", checked[key]) for key in inside)


def _fields(model: Any) -> Iterator[tuple[str, str]]:
    """Yield the fields of a model, also nested ones, with what is expected of each."""
    from pydantic import TypeAdapter

    described = TypeAdapter(model).json_schema()
    for key, about in described["properties"].items():
        yield from _expected(key, about, described.get("$defs", {}))


def _expected(key: str, about: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield key, _in_words(about, known) or "see the further rules"
    for one in _variants(about, known):
        for name, inner in one.get("properties", {}).items():
            yield from _expected(f"{key}.{name}", inner, known)
        for inner in (one.get("additionalProperties"), *one.get("patternProperties", {}).values()):
            if isinstance(inner, Mapping):
                yield from list(_expected(f"{key}.*", inner, known))[(0 if _in_words(inner, known) else 1) :]


def _variants(about: Mapping[str, Any], known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the alternatives of a JSON schema, references followed."""
    if "$ref" in about:
        return _variants(known[about["$ref"].rsplit("/", 1)[1]], known)
    choices = about.get("anyOf", about.get("oneOf"))
    return [v for one in choices for v in _variants(one, known)] if choices else [about]


_JSON_TYPES = {
    **{"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"},
    **{"array": "a list", "object": "keys with values", "null": "nothing"},
}
_LIMITS = {
    **{"minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}"},
    **{
        "exclusiveMaximum": "less than {}",
        "minItems": "at least {} of them",
        "maxItems": "at most {} of them",
    },
    **{"maxLength": "at most {} characters"},
}


def _in_words(about: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    words = []
    for one in _variants(about, known):
        if "const" in one or "enum" in one:
            values = one.get("enum", [one.get("const")])
            words.append(" or ".join(f"`{value}`" if value else "blank" for value in values))
            continue
        limits = [
            text.format(f"{one[name]:,}".removesuffix(".0")) for name, text in _LIMITS.items() if name in one
        ]
        kind = _JSON_TYPES.get(one.get("type", ""), "")
        inner = one.get("items") or {}
        of = _in_words(inner, known) if kind == "a list" and isinstance(inner, Mapping) else ""
        words.append(", ".join([kind + (f" of: {of}" if of else ""), *limits]).removeprefix(", "))
    return " or ".join(dict.fromkeys(filter(None, words)))


def _columns() -> Iterator[tuple[str, str, str, str]]:
    for table in (contract.PATIENTS, contract.GWR):
        for name, column in table.columns.items():
            about = column.metadata
            allowed = ", ".join(check.error for check in column.checks) or "text"
            narrower = about.get("plausible") != about.get("bounds")
            usual = "{:g} to {:g}".format(*about["plausible"]) if narrower else ""
            yield table.name, f"`{name}`", allowed, usual
        yield table.name, ", ".join(f"`{name}`" for name in table.unique), "each combination once", ""


def _of_scores() -> Iterator[tuple[str, str, str]]:
    for name, column in scores.CELLS.columns.items():
        yield column.metadata["rule"], f"`{name}`", ", ".join(check.error for check in column.checks)
    yield from _reported("scores.py")
    # The rule, the rows, the column, what was expected and what was found.
    source = _Source(_LIB / "scores.py")
    for broken in source.tuples(5):
        rule, found, expected = (source.text(broken.elts[i], broken) for i in (0, 4, 3))
        if rule != _VARIES:
            yield rule, found, expected


def _rules() -> Iterator[tuple[str, str]]:
    """Yield what validators expect, and what study files are told of their sections together."""
    for path in sorted(_LIB.rglob("*.py")):
        source = _Source(path)
        for call, inside in source.calls("wrong"):
            if (text := source.text(call.args[0], call)) != _VARIES:
                yield f"`{source.name}`, {inside}", text
    for name in ("study/sections.py", "study/load.py", "study/schema.py", "study/plain_yaml.py"):
        source = _Source(_LIB / name)
        for text in source.messages():
            yield f"`{source.name}`", text


def _reported(*patterns: str) -> Iterator[tuple[str, str, str]]:
    """Yield the rule, what is found and what is expected of every report in some modules."""
    for path in sorted(path for pattern in patterns for path in _LIB.glob(pattern)):
        source = _Source(path)
        for reporter, places in _REPORTERS.items():
            for call, _ in source.calls(reporter):
                given = source.arguments(call)
                row = tuple(given[p] if p is not None and p < len(given) else _VARIES for p in places)
                if set(row[1:]) != {_VARIES}:
                    yield row


class _Source:
    """The source of a module, and what its messages say."""

    def __init__(self, path: Path):
        self.name = path.relative_to(_LIB).as_posix()
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        dotted = path.relative_to(_LIB.parent).with_suffix("").as_posix().replace("/", ".")
        self._module = dotted.removesuffix(".__init__")
        functions = [n for n in ast.walk(self._tree) if isinstance(n, ast.FunctionDef)]
        # Inner functions come later in a walk, and so win.
        self._of = {id(inner): f for f in functions for inner in ast.walk(f)}

    def calls(self, name: str) -> Iterator[tuple[ast.Call, str]]:
        """Yield the calls of a function, in the order of the source, each with the function it stands in."""
        found = [n for n in ast.walk(self._tree) if isinstance(n, ast.Call) and _called(n) == name]
        for call in sorted(found, key=lambda n: (n.lineno, n.col_offset)):
            function = self._of.get(id(call))
            if function is not None and function.name != name:
                yield call, f"`{function.name.lstrip('_')}`"

    def tuples(self, size: int) -> list[ast.Tuple]:
        """Return the tuples of a size that are yielded or appended."""
        given = [n.value for n in ast.walk(self._tree) if isinstance(n, ast.Yield)]
        given += [arg for call, _ in self.calls("append") for arg in call.args]
        found = [node for node in given if isinstance(node, ast.Tuple) and len(node.elts) == size]
        return sorted(found, key=lambda node: node.lineno)

    def messages(self) -> Iterator[str]:
        """Yield the texts that are yielded, raised, or added to a list of errors."""
        found: list[ast.expr] = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Yield) and node.value is not None:
                found.append(node.value)
            elif isinstance(node, ast.YieldFrom) and isinstance(node.value, ast.GeneratorExp):
                found.append(node.value.elt)
            elif isinstance(node, ast.Call) and _called(node) in ("StudyError", "append", "_refuse"):
                found += node.args
        for one in sorted(found, key=lambda node: node.lineno):
            text = self.text(one, one)
            # What is only passed on is not a message of this module.
            if isinstance(one, ast.Constant | ast.JoinedStr) and len(re.findall("[a-z]{3,}", text)) > 1:
                yield text

    def arguments(self, call: ast.Call) -> list[str]:
        """Return the texts of a call's arguments; a tuple that is unpacked is followed to its elements."""
        texts = []
        for node in call.args:
            if isinstance(node, ast.Starred):
                value = self._assigned(node.value, call)
                texts += [self.text(e, call) for e in getattr(value, "elts", [])] or [_VARIES] * 3
            else:
                texts.append(self.text(node, call))
        return texts

    def text(self, node: ast.AST, at: ast.AST, depth: int = 0) -> str:
        """Return a text as the source has it, with ``…`` for what is known only when it runs.

        `at` is the call or statement in which it stands: a name means what it was last given before.
        """
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return re.sub(f"{_VARIES}+", _VARIES, "".join(self.text(part, at, depth) for part in node.values))
        if isinstance(node, ast.IfExp):
            return " or ".join(filter(None, (self.text(n, at, depth) for n in (node.body, node.orelse))))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self.text(node.left, at, depth) + self.text(node.right, at, depth)
        if isinstance(node, ast.Name) and depth < 3 and (value := self._assigned(node, at)) is not None:
            return self.text(value, at, depth + 1)
        return self._evaluated(node)

    def _assigned(self, name: ast.AST, at: ast.AST) -> ast.expr | None:
        """Return what a name was last given before a place, in its function or else in the module."""
        function = self._of.get(id(at))
        for place in (function, self._tree):
            given = [n for n in ast.walk(place or self._tree) if isinstance(n, ast.Assign)]
            given = [n for n in given if self._of.get(id(n)) is (None if place is self._tree else function)]
            given = [n for n in given if place is self._tree or n.lineno <= at.lineno]
            for node in sorted(given, key=lambda n: n.lineno, reverse=True):
                targets = getattr(node.targets[0], "elts", [node.targets[0]])
                values = getattr(node.value, "elts", []) if len(targets) > 1 else [node.value]
                for target, value in zip(targets, values, strict=False):
                    if ast.unparse(target) == ast.unparse(name):
                        return value
        return None

    def _evaluated(self, node: ast.AST) -> str:
        """Return what an expression of the module's constants is, such as a limit."""
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if not names or not all(name.strip("_").isupper() for name in names):
            return _VARIES
        shown = node if isinstance(node, ast.FormattedValue) else ast.FormattedValue(node, -1)
        expression = ast.fix_missing_locations(ast.Expression(ast.JoinedStr([shown])))
        return str(eval(compile(expression, self.name, "eval"), vars(import_module(self._module))))


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


if __name__ == "__main__":
    write_text(PATH, document())
