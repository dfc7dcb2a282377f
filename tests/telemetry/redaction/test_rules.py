"""What each rule takes, beside what looks like it and is none."""

from __future__ import annotations

import base64
import json
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tele
from tele.errors import BadInput
from tele.telemetry import redact as engine
from tele.telemetry.redact import MARK, redact, redacted
from tele.telemetry.redaction.ruleset import set_up

# Well formed and false; put together here, so that no scanner takes this file for a leak.
TOKEN = "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ANTHROPIC = "sk-" + "ant-api03-" + "Zx9" * 15


@pytest.fixture
def personal():
    set_up(personal=True)
    yield
    set_up(personal=False, keys=(), patterns={})


class TestEncodedForms:
    @pytest.mark.parametrize("depth", range(5))
    def test_a_secret_named_by_a_key_goes_at_any_depth_of_json_in_json(self, depth):
        text = json.dumps({"password": 'hun"ter\\2', "kept": "yes"})
        for _ in range(depth):
            text = json.dumps({"inner": text})
        found = redact(text)
        assert "hun" not in found
        assert "yes" in found
        json.loads(found)

    @pytest.mark.parametrize("depth", range(4))
    def test_it_goes_where_the_json_is_only_part_of_a_text(self, depth):
        text = json.dumps({"api_key": "hunter2"})
        for _ in range(depth):
            text = json.dumps(text)[1:-1]
        assert "hunter2" not in redact(f"the arguments were {text}, I think")

    @pytest.mark.parametrize(
        "text",
        [
            "{'password': 'hunter2'}",
            "{'password': b'hunter2', 'a': 1}",
            '{"pin": 1, "db_password": 77112233}',
            "call(headers={'Authorization': 'hunter2 hunter2'})",
            "GET /v1?api_key=hunter2&page=3 HTTP/1.1",
            "https://h.example/cb?access_token=hunter2#top",
            '{"api_key": "hunter2", "api_key": null}',
            "POST / HTTP/1.1\r\nX-Api-Key: hunter2\r\n\r\n",
            "POST / HTTP/1.1\nAuthorization: hunter2\n",
            json.dumps("Proxy-Authorization: hunter2\nHost: x")[1:-1],
            "https://h.example/cb#access_token=hunter2&state=1",
            "redis://:hunter2@h:6379/0",
            "postgres://u:p@hunter2@h/db",
            "+DB_PASSWORD=hunter2\n DEBUG=1",
            "+PASSWORD = 'hunter2'  # of the test machine",
            'connect(host="h", password="hunter2", api_key=f"{x}-1")',
            "db:\n  user: u\n  password: hunter2-of-the-test\n",
            "Server=h;Database=d;Uid=u;Pwd=hunter2-of-the-test;",
            "host=h user=u password=hunter2-of-the-test dbname=d",
            "run --port 80 --password=hunter2-of-the-test -v",
            "curl -H 'x-api-key: hunter2-of-the-test' https://h",
            "npx server --api-key hunter2 --port 80",
            'run --db-password "hunter2" -v',
            json.dumps({"cmd": "run\n\t--auth-token hunter2"})[1:-1],
            json.dumps(["npx", "-y", "server", "--api-key", "hunter2"]),
            json.dumps(
                {"mcpServers": {"a": {"command": "npx", "args": ["--password", "-hunter", "--secret", "hunter2"]}}}
            ),
            "['run.py', '--api-key', 'hunter2', '-v']",
            'args=["--password", "hunter2,-x"]',
            json.dumps('args: ["--client-secret", "hunter2"]')[1:-1],
            json.dumps('x = {}\nself.secret = "hunter2"')[1:-1],
            '<db user="u" password="hunter2"/>',
        ],
    )
    def test_what_a_name_says_is_a_secret_goes_out_of_a_text(self, text):
        found = redact(text)
        assert "hunter2" not in found
        assert "77112233" not in found
        assert MARK.search(found)

    @pytest.mark.parametrize(
        "text",
        [
            "the secret of a good cake is butter",
            '{"author": "Ann", "max_tokens": 5, "tokens": "many"}',
            "def f(password): return check(password)",
            "api_key = os.environ['X']",
            "?page=2&sort=author",
            "Basic understanding of the subject",
            "basic auth is a scheme",
            "Authorization is required",
            "x: 1\nauthor: Ann\n",
            "password = get_password_2(user, 'db')",
            "self.password = password_of_user",
            "password: str | None = None",
            "auth = Auth(scheme)",
            "if token == secret: pass",
            'password = ""',
            "USER=ann\nPWD=/home/ann/project-2\nOLDPWD=/root\nBASIC_AUTH=false",
            "if api_key==expected_key_2: return",
            "Give it with --api-key or --password; --secret is none. --auth-type oauth2",
            "use --api-key VALUE, --session-token --port 8080 and --cookie-jar cookies.txt",
            '["--api-key", "--verbose", "--password"]',
            "eos_token = '</s>', max_tokens=4096, tokenizer: bpe-50257",
            "http://localhost:8080/a",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJ",
        ],
    )
    def test_plain_texts_stay(self, text):
        assert redact(text) == text

    @pytest.mark.parametrize(
        ("given", "left"),
        [
            ("bruce2-of-the-test", "[REDACTED:key:18]"),
            ("furniture2", "[REDACTED:key:10]"),
            ("b'u2-of-it'", "b'[REDACTED:key:8]'"),
            ('rf"u2"', 'rf"[REDACTED:key:2]"'),
        ],
    )
    def test_what_is_given_to_a_name_goes_whole_and_of_a_literal_the_quotes_stay(self, given, left):
        assert redact(f"db_password={given}") == f"db_password={left}"
        assert redact(f"db_password={left}") == f"db_password={left}"

    @pytest.mark.parametrize("before", ["", "a", "ab", "user: "])
    @pytest.mark.parametrize("secret", [TOKEN, ANTHROPIC])
    def test_base64_hides_nothing_wherever_the_secret_stands_in_it(self, before, secret):
        hidden = base64.b64encode(f"{before}{secret} and more".encode()).decode()
        assert redact(f"blob={hidden};") == f"blob=[REDACTED:base64:{len(hidden)}];"

    @pytest.mark.parametrize("secret", [TOKEN, ANTHROPIC, "Bearer abcdefgh12345678", "postgres://u:hunter22@db/x"])
    def test_percent_signs_hide_nothing(self, secret):
        found = redact("next=" + urllib.parse.quote(secret, safe="") + "&x=1")
        assert urllib.parse.quote(secret[-12:-6], safe="") not in found
        assert MARK.search(found)

    def test_user_and_password_in_a_basic_header_go(self):
        header = "Bas" + "ic " + base64.b64encode(b"ann:hunter2").decode()
        assert redact(f"sent {header}.") == f"sent [REDACTED:basic:{len(header)}]."


class TestPairs:
    def test_a_list_of_names_and_values_is_read_as_the_mapping_that_it_is(self, tele_store):
        headers = [
            ("Authorization", "hunter2"),
            ("Accept", "text/html"),
            ("Cookie", "sid=hunter2"),
            ("x-api-key", None),
        ]
        with tele.span("request", input={"headers": headers}, note=[["api_key", "hunter2"]]):
            pass
        [(sent, attributes)] = tele_store.rows("SELECT input, attributes FROM events")
        assert json.loads(sent)["headers"] == [
            ["Authorization", "[REDACTED:key:7]"],
            ["Accept", "text/html"],
            ["Cookie", "[REDACTED:key:11]"],
            ["x-api-key", None],
        ]
        assert json.loads(attributes) == {"note": [["api_key", "[REDACTED:key:7]"]]}

    def test_what_an_option_names_goes_out_of_the_arguments_of_a_command(self, tele_store):
        line = ["python", "run.py", "--api-key", "hunter2", "--password", "-v", "--model", "gpt-4o", "--secret"]
        with tele.span("process", **{"process.command_args": line}, input={"argv": line[2:4]}):
            pass
        [(sent, attributes)] = tele_store.rows("SELECT input, attributes FROM events")
        assert json.loads(sent) == {"argv": ["--api-key", "[REDACTED:key:7]"]}
        assert json.loads(attributes) == {"process.command_args": [*line[:3], "[REDACTED:key:7]", *line[4:]]}

    @pytest.mark.parametrize(
        "value", [["cookie", "milk"], [["cookie", "milk", "tea"]], [["cookie"], ["milk", "tea"]], []]
    )
    def test_other_lists_stay(self, value):
        assert redact(value) == value


class TestPieces:
    @given(st.integers(1, 39), st.integers(1, 39))
    def test_a_secret_that_came_in_chunks_goes(self, one, two):
        cuts = sorted({0, one, two, len(TOKEN)})
        chunks = ["It is ", *(TOKEN[a:b] for a, b in pairwise(cuts)), ", he said."]
        found = redact(chunks)
        assert "".join(found) == f"It is [REDACTED:github:{len(TOKEN)}], he said."
        assert len(found) == len(chunks)

    def test_it_goes_out_of_objects_with_a_text_each(self):
        deltas = [{"text": TOKEN[:7], "n": 1}, {"n": 2}, {"text": TOKEN[7:], "n": 3}]
        found = redact(deltas)
        assert TOKEN[:7] not in json.dumps(found)
        assert TOKEN[7:] not in json.dumps(found)
        assert [item["n"] for item in found] == [1, 2, 3]
        assert deltas[0]["text"] == TOKEN[:7]


class TestPersonal:
    """Positive cases are the examples that the standards and the schemes publish."""

    POSITIVE = (
        ("email", "jane.doe+test@mail.example.co.uk"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "+1 (202) 555-0143"),
        ("phone", "(202) 555-0143"),
        ("phone", "+4930901820"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
        ("iban", "FR1420041010050500013M02606"),
        ("card", "4242 4242 4242 4242"),
        ("card", "378282246310005"),
        ("card", "5555-5555-5555-4444"),
        ("ip", "203.0.113.195"),
        ("ip", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
    )
    NEGATIVE = (
        "version 1.2.3.4567 of it",
        "at 127.0.0.1:4318",
        "4242 4242 4242 4241",
        "GB82 WEST 1234 5698 7654 33",
        "1760000000000000000",
        "2025-11-21T13:30:06",
        "user at example dot org",
        "0.1234567890123456",
        "12:34:56",
        "ratio 16:9",
        "decorated with @tele.span",
    )

    def test_precision_and_recall_on_the_labelled_texts_are_whole(self, personal):
        missed = [text for _, text in self.POSITIVE if text in redact(f"it is {text} now")]
        wrong = [text for text in self.NEGATIVE if redact(text) != text]
        named = [
            (name, text) for name, text in self.POSITIVE if f"[REDACTED:{name}:" not in redact(f"it is {text} now")
        ]
        assert (missed, wrong, named) == ([], [], [])

    @pytest.mark.parametrize("text", [text for _, text in POSITIVE])
    def test_it_stays_until_it_is_asked_for(self, text):
        assert redact(text) == text

    def test_single_rules_can_be_chosen(self, personal):
        set_up(personal=["email"])
        assert redact("a@example.org 203.0.113.195") == "[REDACTED:email:13] 203.0.113.195"

    def test_configure_takes_it_out_of_what_is_recorded(self, tele_store, personal):
        tele.configure(pii=["email"], redact_keys=["Ticket"], redact_patterns={"case": "ACME-[0-9]+"})
        with tele.span("mail to ann@example.org", ticket="T-1", note="see ACME-77", input=["bob@example.org"]):
            pass
        [(name, attributes, sent)] = tele_store.rows("SELECT name, attributes, input FROM events")
        assert name == "mail to [REDACTED:email:15]"
        assert json.loads(attributes) == {"ticket": "[REDACTED:key:3]", "note": "see [REDACTED:case:7]"}
        assert json.loads(sent) == ["[REDACTED:email:15]"]

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            ({"pii": ["shoe-size"]}, "shoe-size"),
            ({"redact_patterns": {"x": "("}}, "RE2"),
            ({"redact_patterns": {"x y": "a"}}, "letters"),
        ],
    )
    def test_what_is_no_rule_gets_one_sentence(self, given, word):
        with pytest.raises(BadInput, match=word):
            tele.configure(**given)


class TestFailure:
    def test_a_field_that_cannot_be_searched_goes_and_no_other_does(self, tele_store, monkeypatch):
        real = engine.redact

        def fails(value):
            if value == {"bad": True}:
                raise ValueError("rule")
            return real(value)

        monkeypatch.setattr("tele.telemetry.encode.redact", fails)
        with tele.span("s", {"bad": True}, input=[None], model="m"):
            pass
        [(attributes, model)] = tele_store.rows("SELECT attributes, model FROM events")
        assert attributes == '"[REDACTED:failed]"'
        assert model == "m"

    def test_what_was_taken_out_is_counted_by_rule(self, tele_store):
        before = redacted()
        with tele.span("s", note=TOKEN, password="x"):
            pass
        tele.event("e", note=f"{TOKEN} {TOKEN}")
        after = redacted()
        assert after["github"] - before.get("github", 0) == 3
        assert after["key"] - before.get("key", 0) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([TOKEN, ANTHROPIC, "Bearer abcdefgh12345678", '{"password": "hunter2"}']))
def test_redacting_twice_changes_nothing_more(value, secret):
    once = redact({"a": value, "b": [secret, f"x{secret}"], "api_key": secret})
    assert redact(once) == once
