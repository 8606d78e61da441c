"""YAML of plain values, in which every text means what it shows."""

import math
import re
from typing import Any, ClassVar
from unicodedata import category

import yaml

# The deepest that a study file needs is 4: section, models, one model, its predictors.
MOST_DEEP = 12
MOST_DIGITS = 18
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(f"{_TAG}{name}" for name in ("null", "bool", "int", "float"))


class PlainLoader(yaml.SafeLoader):
    """YAML without tags, anchors, aliases, repeated keys and ambiguous or endless numbers.

    Dates stay text. YAML 1.1 reads ``010`` as 8 and ``1:30`` as 90; here both are errors.

    Examples
    --------
    >>> yaml.load("a: [1, 2.5, yes, 2024-05-01]", Loader=PlainLoader)
    {'a': [1, 2.5, True, '2024-05-01']}
    >>> try:
    ...     yaml.load("a: 010", Loader=PlainLoader)
    ... except yaml.MarkedYAMLError as error:
    ...     error.problem
    "found 010, which some programs read as another number; expected a number like 10, or text as '010'"
    """

    # Only these are recognised without a tag; everything else is text.
    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def compose_node(self, parent, index):
        """Read one value, unless it is one of those that are not plain."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self._refuse(event, "anchors and aliases are not used here")
        if event.tag:
            self._refuse(event, "tags, which begin with '!', are not used here")
        if self._depth == MOST_DEEP:
            self._refuse(event, f"found values nested deeper than {MOST_DEEP} levels")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        """Return keys with values; each key is plain and appears once."""
        keys = []
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, "found a list or keys with values as a key; expected text or a number")
            key = self.construct_object(key_node, deep=True)
            if key in keys:
                self._refuse(key_node, f"the key '{_short(str(key))}' appears twice")
            keys.append(key)
        return super().construct_mapping(node, deep)

    def construct_text(self, node: yaml.ScalarNode) -> str:
        """Return a text, which has to be printable: it may become a heading or a file's content."""
        text = self.construct_scalar(node)
        # Control characters, halves of characters, which no file can hold, and marks that turn text around.
        strange = next(
            (c for c in text if c in _TURNING or (category(c) in ("Cc", "Cs") and c not in "\n\t")), None
        )
        if strange is not None:
            self._refuse(node, f"found the character U+{ord(strange):04X}; expected printable text")
        return text

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """Return a whole number that is written as one."""
        self._short_number(node)
        if not _WHOLE.fullmatch(node.value):
            expected = f"a number like 10, or text as '{node.value}'"
            found = f"found {node.value}, which some programs read as another number"
            self._refuse(node, f"{found}; expected {expected}")
        return int(node.value)

    def construct_fraction(self, node: yaml.ScalarNode) -> float:
        """Return a finite number."""
        self._short_number(node)
        if ":" in node.value or "_" in node.value:
            expected = f"a number like 1.5, or text as '{node.value}'"
            self._refuse(node, f"found {node.value}, which is no plain number; expected {expected}")
        if "n" in node.value.lower():
            self._refuse(node, f"found {node.value}; expected a finite number")
        if not math.isfinite(number := float(node.value)):
            self._refuse(node, "found a number that is too large; expected a finite number")
        return number

    def _short_number(self, node: yaml.ScalarNode) -> None:
        if (digits := sum(map(str.isdigit, node.value))) > MOST_DIGITS:
            self._refuse(node, f"found a number of {digits} digits; expected at most {MOST_DIGITS}")

    def _refuse(self, place: Any, problem: str) -> None:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


PlainLoader.add_constructor(f"{_TAG}str", PlainLoader.construct_text)
PlainLoader.add_constructor(f"{_TAG}int", PlainLoader.construct_whole)
PlainLoader.add_constructor(f"{_TAG}float", PlainLoader.construct_fraction)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
