"""The condition language: what it means, checked against a plain reading of it, and what it refuses."""

from __future__ import annotations

import contextlib
import operator
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.store import AnyStore, Store, create_store, read_where
from r2ag.store.store import passages_where
from r2ag.store.where import MAX_CHOICES, MAX_DEPTH, as_value
from tests.hashing import HashingEncoder
from tests.store.conftest import put
from tests.store.kinds import KINDS, new_location

DAY = datetime(2024, 5, 1, tzinfo=UTC).timestamp()
FILES = {
    "a/bridge.md": {"team": "red", "year": 2019},
    "a/river.md": {"team": "blue", "year": 2024, "size": 3.5, "équipe": "vert", "année": 1},
    "b/town.md": {"team": "Red", "code": "007"},
    "b/o'clock.md": {"year": "new"},
}
TIMES = dict(zip(FILES, (DAY - 1, DAY, DAY + 86399.5, DAY + 86400), strict=True))


@pytest.fixture(scope="module", params=KINDS)
def store(request: pytest.FixtureRequest) -> AnyStore:
    encoder = HashingEncoder()
    store = create_store(new_location(request.param, request), encoder)
    for source, fields in FILES.items():
        put(store, encoder, source, "built in 1471", title=Path(source).stem, fields=fields, modified=TIMES[source])
    return store


def found(store: AnyStore, where: str) -> list[str]:
    """Stems of the sources that meet the condition, in the order of FILES; both ways of searching agree."""
    with store.snapshot() as snapshot:
        dense = snapshot.nearest(store.encoder.vectors[0], 99, where)
        words = snapshot.matching("built", 99, where)
        assert sorted(hit.id for hit in dense) == sorted(hit.id for hit in words)
        sources = [document.source for document in snapshot.documents([hit.id for hit in dense])]
        return [Path(source).stem for source in sorted(sources, key=list(FILES).index)]


@pytest.mark.parametrize(
    ("where", "stems"),
    [
        ("team = red", "bridge"),
        ("team = 'red'", "bridge"),
        ("team != red", "river town o'clock"),
        ("not team = red", "river town o'clock"),
        ("team in (red, 'blue')", "bridge river"),
        ("team not in (red, blue)", "town o'clock"),
        ("team like 'r%'", "bridge town"),
        ("team like r_d", "bridge town"),
        ("TEAM = red", ""),
        ("équipe = vert", "river"),
        ("équipe != vert", "bridge town o'clock"),
        ("équipe like 'v%' and année > 0", "river"),
        ("year > 2019", "river"),
        ("year >= 2019", "bridge river"),
        ("year = '2024'", "river"),
        ("year = new", "o'clock"),
        ("year < 3000 or year = new", "bridge river o'clock"),
        ("size = 3.5 and year = 2024", "river"),
        ("code = 007", "town"),
        ("code = 7", ""),
        ("missing = 1", ""),
        ("not (missing > 1 or missing like '%')", "bridge river town o'clock"),
        ("source like 'a/%'", "bridge river"),
        ("source = 'b/o''clock.md'", "o'clock"),
        ('source = "b/o\'clock.md"', "o'clock"),
        ("title = town and source like '%.md'", "town"),
        ("section = ''", "bridge river town o'clock"),
        ("modified = 2024-05-01", "river town"),
        ("modified != 2024-05-01", "bridge o'clock"),
        ("modified < 2024-05-01", "bridge"),
        ("modified <= 2024-05-01", "bridge river town"),
        ("modified > 2024-05-01", "o'clock"),
        ("modified >= '2024-05-01'", "river town o'clock"),
        ("modified = 2024-05-01T00:00:00", "river"),
        ("modified = 2024-05-01T02:00:00+02:00", "river"),
        ("team = red or team = blue and year = 1", "bridge"),
        ("(team = red or team = blue) and year = 2024", "river"),
        ("not not team = red", "bridge"),
        ("Not team = red AND year = 2024", "river"),
    ],
)
def test_meaning(store, where, stems):
    assert " ".join(found(store, where)) == stems


# A plain reading: each generated condition comes with the predicate that it should be.
_COMPARE = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt}


def _numeric(sign: str, number: int):
    def holds(fields):
        value = fields.get("year")
        if sign == "!=":
            return value != number
        return isinstance(value, int) and _COMPARE[sign](value, number)

    return f"year {sign} {number}", holds


def _textual(sign: str, text: str):
    quoted = "'" + text.replace("'", "''") + "'"

    def holds(fields):
        if sign == "!=":
            return fields.get("team") != text
        return "team" in fields and _COMPARE[sign](fields["team"].encode(), text.encode())

    return f"team {sign} {quoted}", holds


_TEXTS = st.sampled_from(["red", "blue", "Red", "purple", "it's", 'a"b', "", "x) OR 1=1 --"])
_leaves = st.one_of(
    st.builds(_numeric, st.sampled_from(list(_COMPARE)), st.integers(2018, 2025)),
    st.builds(_textual, st.sampled_from(list(_COMPARE)), _TEXTS),
)
_conditions = st.recursive(
    _leaves,
    lambda part: st.one_of(
        part.map(lambda p: (f"not ({p[0]})", lambda f: not p[1](f))),
        st.tuples(part, part).map(lambda p: (f"({p[0][0]}) and {p[1][0]}", lambda f: p[0][1](f) and p[1][1](f))),
        st.tuples(part, part).map(lambda p: (f"(({p[0][0]}) or ({p[1][0]}))", lambda f: p[0][1](f) or p[1][1](f))),
    ),
    max_leaves=4,
)


@given(left=_conditions, right=_conditions)
def test_any_condition_means_what_it_says(store, left, right):
    for where, holds in (
        (f"({left[0]}) and ({right[0]})", lambda f: left[1](f) and right[1](f)),
        (f"({left[0]}) or not ({right[0]})", lambda f: left[1](f) or not right[1](f)),
    ):
        assert found(store, where) == [Path(source).stem for source, fields in FILES.items() if holds(fields)]


@given(st.text(max_size=200) | st.text(alphabet="ab'\"=<>!()%, andornotlikein0-", max_size=60))
def test_any_text_is_a_condition_or_refused_in_a_sentence(store, text):
    with contextlib.suppress(InputError):
        read_where(text)
        found(store, text)  # what can be parsed is found or not, without an error of SQLite's
        return
    with pytest.raises(InputError, match=r"^--where "):
        read_where(text)


@given(st.text(max_size=100))
def test_no_value_is_read_as_sql(store, text):
    condition = passages_where("title = '" + text.replace("'", "''") + "'")
    assert condition.sql.endswith("WHERE coalesce(CAST(chunks.title AS TEXT) = ?, false)")
    (parameter,) = condition.parameters
    assert parameter == text.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize(
    ("where", "asks_passages"),
    [
        ("team = red and not source like 'b%' or modified < 2024-05-01", False),
        ("team = red and not (year = 1 or section = x)", True),
        ("title like 'b%'", True),
    ],
)
def test_what_speaks_of_files_alone_reads_no_passage(where, asks_passages):
    assert ("JOIN" in passages_where(where).sql) == asks_passages


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "its end where the name of a field"),
        ("team", "its end where one of ="),
        ("team =", "its end where a value"),
        ("team = red blue", "'blue' where 'and', 'or' or the end"),
        ("team == red", "'=' where a value"),
        ("= red", "'=' where the name of a field"),
        ("team = 'red", "quotation mark"),
        ("(team = red", "its end where ')'"),
        ("team in red", "'red' where '('"),
        ("team in ()", "')' where a value"),
        ("team not = red", "'=' where 'in' or 'like'"),
        ("1=1; drop table files", "'1' where the name of a field"),
        ("modified > yesterday", "2024-01-31"),
        ("modified > 2024-02-30", "2024-01-31"),
        ("modified >= 9999-12-31", "2024-01-31"),
        ("modified like 2024", "modified"),
        ("(" * 16 + "team = red" + ")" * 16, "deep"),
        ("team = " + "x" * 2000, "2,007 characters"),
        ("team like '%a%a%a%a%a%'", "signs %"),
        (f"team in ({'1,' * MAX_CHOICES}1)", "201 values"),
    ],
)
def test_what_cannot_be_read(where, words):
    with pytest.raises(InputError) as refused:
        read_where(where)
    assert words in str(refused.value)


def test_the_longest_conditions_are_within_what_sqlite_reads(store):
    assert found(store, " or ".join(["a=1"] * 285)) == []
    deepest = "a=1 or b=1 and not (" * ((MAX_DEPTH - 1) // 2) + "year=2024" + ")" * ((MAX_DEPTH - 1) // 2)
    assert found(store, deepest) == []
    assert found(store, "not " * (MAX_DEPTH - 1) + "year=2024") == ["river"]
    assert found(store, f"not team in ({','.join(['1'] * MAX_CHOICES)})") == [Path(source).stem for source in FILES]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024", 2024),
        ("-3", -3),
        ("3.5", 3.5),
        *((text, text) for text in ("007", "1.10", "1e5", "nan", "inf", "", " 1", "1_000", "٣", str(2**63))),
    ],
)
def test_numbers_are_those_that_keep_their_characters(text, value):
    assert (as_value(text), type(as_value(text))) == (value, type(value))


def test_the_database_is_there_after_all_this(store):
    if not isinstance(store, Store):
        assert len(found(store, "not a = 1")) == 4
        return
    with sqlite3.connect(store.folder / "store.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (4,)
