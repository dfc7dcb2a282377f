"""Secrets that a user's data holds are not in the store, and plain words are."""

from __future__ import annotations

import base64
import random
import string

import pytest

import tele
from tele.telemetry import limits
from tele.telemetry.redact import MIN_SECRET, redact, secret_key
from tele.telemetry.redaction import SECRETS
from tele.telemetry.redaction.ruleset import clean

ALNUM = string.ascii_letters + string.digits


def drawn(alphabet, length, seed=0):
    return "".join(random.Random(seed).choices(alphabet, k=length))


# Well formed and false; put together here, so that no scanner takes this file for a leak.
CANARIES = {
    "anthropic": "sk-" + "ant-api03-" + drawn(ALNUM, 40),
    "openai": "sk-" + "proj-" + drawn(ALNUM, 48),
    "aws": "AK" + "IA" + drawn("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
    "google": "AI" + "za" + drawn(ALNUM, 35),
    "github": "gh" + "p_" + drawn(ALNUM, 36),
    "gitlab": "gl" + "pat-" + drawn(ALNUM, 20),
    "huggingface": "h" + "f_" + drawn(ALNUM, 34),
    "perplexity": "pp" + "lx-" + drawn(ALNUM, 48),
    "stripe": "s" + "k_live_" + drawn(ALNUM, 24),
    "slack": "xo" + "xb-" + drawn(string.digits, 12) + "-" + drawn(ALNUM, 24),
    "sendgrid": "S" + "G." + drawn(ALNUM, 22) + "." + drawn(ALNUM, 43),
    "databricks": "da" + "pi" + drawn("0123456789abcdef", 32),
    "pypi": "py" + "pi-AgEIcHlwaS5vcmc" + drawn(ALNUM, 40),
    "npm": "np" + "m_" + drawn(ALNUM, 36),
    "groq": "gs" + "k_" + drawn(ALNUM, 52),
    "xai": "xa" + "i-" + drawn(ALNUM, 60),
    "langfuse": "pk" + "-lf-" + "0f8fad5b-d9cb-469f-a165-70867728950e",
    "jwt": "ey" + "J" + drawn(ALNUM, 20) + ".ey" + "J" + drawn(ALNUM, 40) + "." + drawn(ALNUM, 43),
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----\n" + drawn(ALNUM, 64) + "\n-----END " + "RSA PRIVATE KEY-----",
    "bearer": "Bear" + "er " + drawn(ALNUM, 32),
    "url-password": "postgres://user:" + drawn(ALNUM, 16) + "@db.example.org/x",
    "sas": "https://x.example.org/b?sv=1&si" + "g=" + drawn(ALNUM, 44),
    "basic": "Bas" + "ic " + base64.b64encode(b"user:" + drawn(ALNUM, 12).encode()).decode(),
    "query": "https://x.example.org/v1?api" + "_key=" + drawn(ALNUM, 16) + "&page=2",
    "header": "\nx-api" + "-key: " + drawn(ALNUM, 16) + "\n",
    "pair": '{"pass' + 'word": "' + drawn(ALNUM, 16) + '"}',
    "assigned": "DB_PASS" + "WORD = '" + drawn(ALNUM, 16) + "'",
    "base64": base64.b64encode(b"token sk" + b"-ant-api03-" + drawn(ALNUM, 40).encode()).decode(),
}
SECRET_PART = {
    name: {
        "private-key": drawn(ALNUM, 64),
        "bearer": drawn(ALNUM, 32),
        "url-password": drawn(ALNUM, 16),
        "sas": drawn(ALNUM, 44),
        "query": drawn(ALNUM, 16),
        "header": drawn(ALNUM, 16),
        "pair": drawn(ALNUM, 16),
        "assigned": drawn(ALNUM, 16),
    }.get(name, text)
    for name, text in CANARIES.items()
}
SURROUNDINGS = {
    "alone": "{}",
    "in prose": "the key is {}, keep it",
    "on a line of its own": "first\n{}\nlast",
    "after a tab": "key\t{}\tend",
    "after a carriage return": "key\r{}",
    "in quotes": "\"{}\" '{}'",
    "in a JSON text": '{{"x": "{}"}}',
    "after a backslash": "C:\\{}",
    "after other letters": "schlüssel={}é",
    "after NUL": "\0{}\0",
}


def every_byte(store):
    return b"".join(path.read_bytes() for path in sorted(store.path.rglob("*")) if path.is_file())


def nowhere(store, *needles):
    content = every_byte(store)
    assert b"[REDACTED:" in content  # what was recorded is there, without its secret
    for needle in needles:
        assert needle.encode() not in content


class TestValues:
    def test_each_rule_has_a_canary(self):
        assert {rule.name for rule in SECRETS} == set(CANARIES)

    @pytest.mark.parametrize("rule", CANARIES)
    @pytest.mark.parametrize("around", SURROUNDINGS)
    def test_it_is_taken_out_of_any_text(self, rule, around):
        text = SURROUNDINGS[around].replace("{{", "{").replace("}}", "}").replace("{}", CANARIES[rule])
        assert SECRET_PART[rule] not in redact(text)

    @pytest.mark.parametrize("rule", CANARIES)
    @pytest.mark.parametrize("around", SURROUNDINGS)
    def test_it_is_nowhere_in_the_store(self, tele_store, rule, around):
        text = SURROUNDINGS[around].replace("{{", "{").replace("}}", "}").replace("{}", CANARIES[rule])
        with tele.span("s", note=text):
            pass
        nowhere(tele_store, SECRET_PART[rule])

    @pytest.mark.parametrize("rule", CANARIES)
    def test_it_is_nowhere_in_the_store_wherever_it_was_planted(self, tele_store, rule):
        secret = CANARIES[rule]
        with tele.experiment(f"e {secret}", condition=secret, hypothesis=secret, tags=[secret], note={"a": [secret]}):
            with tele.span(f"chat {secret}", conversation_id=secret, item_id=secret, tags=[secret]) as span:
                span.set(input=[{"role": "user", "content": secret}], output={"text": [secret]}, error_type=secret)
                span.set_attribute(f"key {secret}", 1).set_attribute("nested", {"a": [{"b": (secret,)}]})
                tele.event(secret, {secret: secret}, cluster=secret)
                tele.metric("m", 1, {"note": secret}, unit=secret)
                tele.metric("text", secret)
            tele.score(span, "quality", 1, reason=secret)
            tele.score(span, secret, secret)
            with pytest.raises(RuntimeError), tele.span("fails"):
                raise RuntimeError(secret)
        with pytest.raises(KeyError), tele.experiment("failing"):
            raise KeyError(secret)
        nowhere(tele_store, SECRET_PART[rule])
        tele_store.seal()
        nowhere(tele_store, SECRET_PART[rule])

    def test_the_mark_says_which_rule_and_how_long(self):
        secret = CANARIES["github"]
        assert redact(f"key {secret}.") == f"key [REDACTED:github:{len(secret)}]."

    def test_what_holds_no_secret_is_the_same_object(self):
        text = "a sentence about nothing in particular"
        assert redact(text) is text

    def test_secrets_as_keys_do_not_push_each_other_out(self):
        first, second = ("gh" + "p_" + drawn(ALNUM, 36, seed) for seed in (1, 2))
        assert sorted(redact({first: 1, second: 2}).values()) == [1, 2]

    def test_no_string_that_a_rule_knows_is_shorter_than_the_least_length(self):
        short = "a://" + "b:" + "c@d"
        assert len(short) >= MIN_SECRET
        assert ":c@" not in redact(short)

    @pytest.mark.parametrize(
        "text",
        [
            "task-1234567890-abcdefghijklmnopqrstuvwxyz",
            "risk-assessment-of-the-whole-portfolio-2025",
            "the bearer of bad news arrived",
            "https://example.org:8080/path?sign=up",
            "eyJust kidding",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "hf_internal-testing/tiny-random-gpt2",
            "mailto:somebody@example.org",
        ],
    )
    def test_plain_words_stay(self, text):
        assert redact(text) == text


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        [
            "password",
            "db_passwd",
            "OPENAI_API_KEY",
            "api-key",
            "x.api.key",
            "apiKey",
            "authorization",
            "Authorization",
            "auth",
            "client_secret",
            "credentials",
            "access_token",
            "refresh-token",
            "id_token",
            "Cookie",
            "set-cookie",
            "csrf",
            "private_key",
            "ssn",
            "credit_card",
            "session_token",
            "jwt",
        ],
    )
    def test_the_value_under_such_a_key_goes(self, tele_store, key):
        assert secret_key(key)
        for nested in ({key: "hunter2"}, {"a": [{key: "hunter2"}]}, {"a": ({key: "hunter2"},)}):
            with tele.span("s", nested, input=nested, output=[nested]):
                pass
        tele.event("e", {key: ["hunter2"]})
        tele.metric("m", 1, {key: {"inner": "hunter2"}})
        with tele.experiment("x", **{key: "hunter2"}):
            pass
        nowhere(tele_store, "hunter2")

    @pytest.mark.parametrize(
        "key",
        [
            "author",
            "authors",
            "authentic",
            "max_tokens",
            "input_tokens",
            "total_token_count",
            "token_ids",
            "session_id",
            "conversation_id",
            "tokenizer",
            "eos_token_id",
            "key",
            "keyboard",
            "api",
            "monkey",
            "name",
        ],
    )
    def test_plain_keys_keep_their_values(self, key):
        assert not secret_key(key)
        assert redact({key: 5}) == {key: 5}

    @pytest.mark.parametrize("key", ["valid_token", "invalid_token", "cookiecutter", "secretary"])
    def test_words_that_only_contain_a_secret_word_keep_their_values(self, key):
        assert redact({key: "text of some length"}) == {key: "text of some length"}

    def test_flags_and_nothing_stay_and_counts_of_tokens_stay(self):
        kept = {"password": None, "api_key": True, "access_token_count": 5}
        assert redact(kept) == kept
        assert redact({"password": 12345})["password"] == "[REDACTED:key:5]"

    def test_values_under_keys_of_a_conversation_are_kept(self, tele_store):
        with tele.span("s", max_tokens=5, session_id="abc", conversation_id="c-1", author="Ann"):
            pass
        assert tele_store.rows("SELECT attributes, conversation_id FROM events") == [
            ('{"max_tokens":5,"session_id":"abc","author":"Ann"}', "c-1")
        ]


class TestBeforeCapsAndHashes:
    def test_a_secret_that_straddles_the_cut_is_gone_whole(self, tele_store, monkeypatch):
        monkeypatch.setattr(limits, "CUT_BYTES", 40_000)
        secret = CANARIES["openai"]
        for start in range(40_000 - len(secret), 40_001, 7):
            with tele.span("s", note="x " * (start // 2) + secret, output=" " * start + secret):
                pass
        nowhere(tele_store, secret, secret[:20])

    def test_a_secret_that_straddles_a_blobs_limit_is_gone_whole(self, tele_store):
        secret = CANARIES["openai"]
        for start in (limits.BODY_BYTES - 100, limits.BODY_BYTES - 20, limits.BODY_BYTES):
            with tele.span("s", note=" " * start + secret, input=[" " * start + secret]):
                pass
        nowhere(tele_store, secret, secret[:20])

    def test_a_secret_inside_a_blob_is_gone(self, tele_store):
        body = [{"role": "user", "content": "x" * 50_000 + " " + CANARIES["aws"], "api_key": "hunter2"}]
        with tele.span("s", input=body, note={"deep": [CANARIES["jwt"] + " " + "y" * 50_000]}):
            pass
        assert list((tele_store.path / "blobs").rglob("*"))
        nowhere(tele_store, CANARIES["aws"], CANARIES["jwt"], "hunter2")


HOSTILE = {
    "url": "://a:",
    "dashes": "-----BEGIN PRIVATE KEY-----",
    "prefixes": "sk-ant-sk-",
    "google": "AIza",
    "dots": "eyJaaaaaaaaaa.",
    "spaces": "bearer ",
    "letters": "a",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_time_grows_with_the_text_and_not_with_its_square(kind, cpu_seconds):
    half, whole = (HOSTILE[kind] * (size // len(HOSTILE[kind])) for size in (500_000, 1_000_000))
    redact(half)
    assert cpu_seconds(lambda: redact(whole)) < 3.5 * cpu_seconds(lambda: redact(half)) + 0.05


def test_a_secret_behind_a_megabyte_of_prefixes_is_found():
    parts = ["sk-ant-", "AIza", "ghp_", "xoxb-", "glpat-", "gsk_", "eyJ", "://a:", "npm_", "-----BEGIN "]
    noise = "".join(random.Random(1).choices(parts, k=150_000))
    text = f"{noise} {CANARIES['aws']} end"
    assert not clean(text.encode())
    assert CANARIES["aws"] not in redact(text)
