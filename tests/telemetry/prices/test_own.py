"""A price table of one's own: what it says counts, and what is wrong in it is said with its line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tele.errors import BadInput
from tele.telemetry.prices.own import _Checked, read_own
from tele.telemetry.prices.tables import Tables
from tele.telemetry.prices.usage import Usage

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
TABLE = """version = "contract 7"

[[price]]
model = "gpt-4o"
input = 2
output = 8

[[price]]
model = "gpt-4o"
from = 2026-06-01
input = 1
output = 4

[[price]]
model = "GPT-4o"
provider = "azure"
from = 2026-01-01
input = 3
output = 9
cache_read = 0.5
cache_write = 4
cache_write_1h = 6
reasoning = 10
request = 0.01

[[price]]
model = "gpt-4o"
tier = "batch"
input = 0.5
output = 2

[[price]]
model = "long"
input = 1
output = 2
[[price.above]]
tokens = 1000
input = 10
[[price.above]]
tokens = 2000
output = 20
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.toml"


@pytest.fixture
def tables(path):
    path.write_text(TABLE)
    return Tables(path)


@pytest.mark.parametrize(
    ("provider", "model", "when", "usage", "usd"),
    [
        ("openai", "gpt-4o", datetime(2026, 5, 31, 23, 45, tzinfo=UTC), Usage(1_000_000), 2),
        ("openai", "gpt-4o", datetime(2026, 6, 1, tzinfo=UTC), Usage(1_000_000), 1),
        (None, "openai/gpt-4o-2024-08-06", NOON, Usage(1_000_000, 1_000_000), 5),
        ("my-proxy", "gpt-4o", NOON, Usage(1_000_000), 1),
        ("azure.ai.openai", "gpt-4o", NOON, Usage(1_000_000), 3.01),
        # before Azure's own row begins, the one that names no provider
        ("azure", "gpt-4o", datetime(2025, 12, 31, tzinfo=UTC), Usage(1_000_000), 2),
        (
            "azure",
            "gpt-4o",
            NOON,
            Usage(10, 6, 3, 4, 2, 1),
            0.01 + (3 * 3 + 3 * 0.5 + 3 * 4 + 6 + 4 * 9 + 2 * 10) / 1e6,
        ),
        (None, "long", NOON, Usage(1000, 1), (1000 * 1 + 2) / 1e6),
        (None, "long", NOON, Usage(1001, 1), (1001 * 10 + 2) / 1e6),
        # a step says what differs from the row itself
        (None, "long", NOON, Usage(2001, 1), (2001 * 1 + 20) / 1e6),
    ],
)
def test_a_call_costs_what_the_table_says(tables, provider, model, when, usage, usd):
    assert tables.find(provider, model, when).usd(usage) == pytest.approx(usd, rel=1e-12)


def test_the_reference_names_table_version_row_and_date(tables):
    assert tables.find(None, "gpt-4o", NOON, "batch").ref == "own mine.toml contract 7 gpt-4o batch 2026-11-01"
    assert tables.find("azure", "gpt-4o", NOON).ref == (
        "own mine.toml contract 7 azure/GPT-4o since 2026-01-01 2026-11-01"
    )
    assert tables.find(None, "long", NOON).cost(Usage(1500))[1] == "own mine.toml contract 7 long above 1000 2026-11-01"


def test_without_a_version_its_bytes_name_it(path):
    path.write_text('[[price]]\nmodel = "m"\ninput = 1\n')
    first = read_own(path).version
    path.write_text('[[price]]\nmodel = "m"\ninput = 2\n')
    assert len(first) == 8
    assert read_own(path).version != first


def test_what_it_does_not_price_the_other_tables_do(tables):
    assert tables.find("openai", "gpt-5", NOON).table == "genai-prices"
    assert tables.find("openai", "gpt-4o", NOON, "priority").table != "own mine.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]\n", "line 1"),
        ('[[price]]\nmodel = "m"\ninput = "1"\n', "line 3: input is a number of US dollars, not '1'"),
        ('[[price]]\nmodel = "m"\n# a remark\n\noutput = -1\n', "line 5: output is 0 or more US dollars, not -1"),
        ('[[price]]\nmodel = "m"\ninput = nan\n', "line 3: input is 0 or more US dollars, not nan"),
        ('[[price]]\nmodel = "m"\ninput = true\n', "line 3: input is a number of US dollars, not True"),
        ("[[price]]\ninput = 1\n", "line 1: model is a text that is not empty"),
        ('[[price]]\nmodel = ""\ninput = 1\n', "line 2: model is a text that is not empty"),
        ('[[price]]\nmodel = "m"\n', "line 1: a price states at least one of input, output and request"),
        ('[[price]]\nmodel = "m"\ninput = 1\ninputs = 2\n', "line 4: 'inputs' is no key of a price"),
        ('[[price]]\nmodel = "m"\ninput = 1\nfrom = "2026-01-01"\n', "line 4: from is a date such as 2026-07-01"),
        ('[[price]]\nmodel = "m"\ninput = 1\nfrom = 2026-01-01T08:00:00Z\n', "line 4: from is a date"),
        ('[[price]]\nmodel = "m"\ninput = 1\ntier = 3\n', "line 4: tier is a text"),
        (
            '[[price]]\nmodel = "m"\ninput = 1\n[[price]]\nmodel = "M"\ninput = 2\n',
            "line 4: this row says what the one in line 1",
        ),
        ('[[price]]\nmodel = "m"\ninput = 1\n[[price.above]]\ninput = 2\n', "line 4: tokens is a number of tokens"),
        (
            '[[price]]\nmodel = "m"\ninput = 1\n[[price.above]]\ntokens = 5\nmodel = "x"\n',
            "line 6: 'model' is no key of a step",
        ),
        ('[[price]]\nmodel = "m"\ninput = 1\nabove = 3\n', "line 4: steps stand under [[price.above]]"),
        ('[price]\nmodel = "m"\n', "line 1: prices stand under [[price]], with two brackets"),
        ("models = 1\n", "line 1: 'models' is no key of a price table"),
        ("version = [1]\n", "line 1: version is a text"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_line(path, text, said):
    path.write_text(text)
    with pytest.raises(BadInput) as refused:
        read_own(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert str(refused.value).count("\n") == 0


def test_the_table_of_the_documentation_is_sound(path):
    page = Path(__file__).parents[3] / "docs" / "how-to" / "prices.md"
    [block] = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    path.write_text(block)
    assert Tables(path).find(None, "our-model", NOON).usd(Usage(200_001)) == pytest.approx(200_001 * 2 / 1e6)
    assert Tables(path).find("azure", "gpt-4o", NOON).ref.startswith("own mine.toml contract 7 azure/gpt-4o ")


def test_each_mistake_is_told(path):
    path.write_text('[[price]]\nmodel = "m"\ninput = -1\noutput = "x"\n\n[[price]]\nmodel = 4\ninput = 1\n')
    with pytest.raises(BadInput) as refused:
        read_own(path)
    assert [line.split(": ")[0].rpartition(" ")[2] for line in str(refused.value).splitlines()] == ["3", "4", "7"]


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"[" * 100_000, b"x" * 5_000_000])
def test_what_is_no_table_is_refused_in_one_sentence(path, raw):
    path.write_bytes(raw)
    with pytest.raises(BadInput) as refused:
        read_own(path)
    assert str(refused.value).count("\n") == 0


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates() | st.just([])


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["model", "provider", "tier", "from", "input", "output", "above"]), _VALUES)
    )
)
def test_any_document_is_read_or_refused(prices):
    checked = _Checked(Path("t.toml"), "")
    rows = checked.rows({"price": prices})
    assert checked.mistakes or sum(map(len, rows.values())) == len(prices)
