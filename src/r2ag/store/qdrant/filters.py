"""Conditions of `--where` as payload filters of Qdrant.

Qdrant compares texts for equality alone. What else is asked of a text (`like`, `<`, and whether it is a number at all)
is decided here for the values that there are, and these values are then looked up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from qdrant_client import models

from r2ag.store.conditions import COLUMNS, Compared, Condition, Joined, Leaf, Modified, Not
from r2ag.store.qdrant.points import is_any, label, within
from r2ag.store.where import as_value

Values = Callable[[str], Iterable[str]]
"""The different values of a payload's key, from the collection."""


def to_filter(condition: Condition, values: Values) -> Any:
    """The condition as a part of a filter."""
    match condition:
        case Not(part):
            return models.Filter(must_not=[to_filter(part, values)])
        case Joined("and", parts):
            return models.Filter(must=[to_filter(part, values) for part in parts])
        case Joined(_, parts):
            return models.Filter(should=[to_filter(part, values) for part in parts])
    return _leaf(condition, values)


def _leaf(leaf: Leaf, values: Values) -> models.FieldCondition:
    if isinstance(leaf, Modified):
        return within("modified", gte=leaf.first, lt=leaf.end)
    equal = leaf.value if isinstance(leaf, Compared) and leaf.sign == "=" else None
    if leaf.field in COLUMNS:
        found = [equal] if isinstance(equal, str) else [value for value in values(leaf.field) if leaf.holds(value)]
        return is_any(leaf.field, found)
    if isinstance(equal, str):  # a number is equal to its characters
        return is_any("labels", [label(leaf.field, value) for value in {equal, as_value(equal)}])
    start = f"{leaf.field}="
    labels = (one for one in values("labels") if one.startswith(start))
    return is_any("labels", [one for one in labels if leaf.holds(json.loads(one.removeprefix(start)))])
