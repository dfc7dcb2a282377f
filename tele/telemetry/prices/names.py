"""From the names that programs and providers use to the names that price tables use, by rule.

Each rule takes something away that does not change the price's row: a path, a provider's prefix, a deployment's suffix.
The last two rules are looser, a region and a date: they are asked only where no table knows the name with them. What no
rule leads to is unknown; nothing is matched by likeness.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Asked", "Provider", "candidates", "provider_named"]


class Provider(NamedTuple):
    """One provider by the names of the tables."""

    name: str
    """As genai-prices calls it, where it knows it."""
    litellm: tuple[str, ...]
    """As LiteLLM's rows call it."""


class Asked(NamedTuple):
    """One name under which a table may have the model."""

    provider: Provider | None
    name: str
    rule: str
    """How it came from the name that was asked for."""


_ALIASES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("openai", ("openai", "text-completion-openai"), "openai text-completion-openai"),
    ("azure", ("azure", "azure_ai", "azure_text"), "azure azure.ai.openai az.ai.openai azure_openai azureopenai"),
    ("azure", ("azure_ai", "azure", "azure_text"), "azure_ai azure.ai.inference az.ai.inference"),
    (
        "aws",
        ("bedrock", "bedrock_converse", "bedrock_mantle"),
        "aws aws.bedrock bedrock aws_bedrock amazon_bedrock amazon bedrock_converse bedrock_mantle",
    ),
    ("google", ("gemini", "vertex_ai"), "google gcp.gemini gcp.gen_ai gemini google_genai google_ai google_gla"),
    ("google", ("vertex_ai", "gemini"), "gcp.vertex_ai vertex_ai vertexai vertex google_vertex google_vertexai"),
    ("x-ai", ("xai",), "x-ai x_ai xai"),
    ("mistral", ("mistral",), "mistral mistral_ai mistralai"),
    ("moonshotai", ("moonshot",), "moonshotai moonshot_ai moonshot"),
    ("together", ("together_ai",), "together together_ai togetherai"),
    ("fireworks", ("fireworks_ai",), "fireworks fireworks_ai"),
    ("perplexity", ("perplexity",), "perplexity perplexity_ai perplexityai"),
    ("cohere", ("cohere", "cohere_chat"), "cohere cohere_chat"),
    ("voyageai", ("voyage",), "voyageai voyage voyage_ai"),
    ("github-copilot", ("github_copilot",), "github-copilot github_copilot"),
    ("ollama", ("ollama",), "ollama ollama_chat"),
    ("watsonx", ("watsonx",), "watsonx ibm.watsonx.ai ibm.watsonx"),
    ("anthropic", ("anthropic",), "anthropic"),
    ("cerebras", ("cerebras",), "cerebras"),
    ("cloudflare", ("cloudflare",), "cloudflare"),
    ("databricks", ("databricks",), "databricks"),
    ("deepinfra", ("deepinfra",), "deepinfra"),
    ("deepseek", ("deepseek",), "deepseek"),
    ("groq", ("groq",), "groq"),
    ("novita", ("novita",), "novita"),
    ("openrouter", ("openrouter",), "openrouter"),
)
_PROVIDERS = {alias: Provider(name, litellm) for name, litellm, aliases in _ALIASES for alias in aliases.split()}
_GATEWAYS = frozenset({"litellm", "litellm_proxy", "litellm-proxy"})
"""They pass on what another provider serves: the model's prefix says whose it is."""

_PATH = re.compile(
    r"""(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/(?P<vertex>.+)
    | models/(?P<gemini>.+)
    | arn:[^:]*:bedrock:[^/]*/(?P<bedrock>.+)""",
    re.VERBOSE,
)
_PATH_PROVIDER = {"vertex": "vertex_ai", "gemini": "gemini", "bedrock": "bedrock"}
_REGIONS = "us|eu|apac|jp|au|ca|sa|us-gov|global"
_BEDROCK = re.compile(
    rf"(?:(?:{_REGIONS})\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer|stability)\.[a-z].*"
)
_ROUTE = re.compile(r"(?:converse|invoke|converse_like|responses|chat)/(.+)")
_REGION = re.compile(rf"(?:{_REGIONS})\.(?P<rest>[a-z0-9]+\..+)")
_FINE_TUNED = re.compile(r"(?P<base>ft:[^:]+):.*")
_OPENAI_BASE = re.compile(r"ft:(?:gpt-|o\d|davinci|babbage)")
_AT = re.compile(r"(?P<name>[^@]+)@(?P<version>[\w.-]+)")
_DATED = re.compile(
    r"(?P<name>.+?)[-@](?:20\d\d-(?:0[1-9]|1[0-2])-(?:[0-2]\d|3[01])|20\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]))"
)


def provider_named(name: str | None) -> Provider | None:
    """Find the provider that `name` means; a name that is not known stands for itself, a gateway's for none."""
    key = (name or "").strip().lower().replace(" ", "_")
    if not key or key in _GATEWAYS:
        return None
    return _PROVIDERS.get(key) or _PROVIDERS.get(key.replace("-", "_")) or Provider(key, (key,))


def candidates(provider: str | None, model: str) -> tuple[list[Asked], list[Asked]]:
    """Names under which tables may have `model`: those that mean the same, then the looser ones."""
    name = model.strip().lower()
    same = [_asked(provider_named(provider), name, "as it is")]
    for _ in range(4):
        shorter = _shorter(same[-1], name)
        if shorter is None:
            break
        same.append(shorter)
    last = same[-1]
    if found := _FINE_TUNED.fullmatch(last.name):  # a fine-tuned model has its own price: never its base's
        same.append(Asked(last.provider, found["base"], "the fine-tuned base of its name"))
    if found := _AT.fullmatch(last.name):
        same.append(Asked(last.provider, f"{found['name']}-{found['version']}", "with - in place of @"))
    return same, _looser(same[-1])


def _looser(last: Asked) -> list[Asked]:
    loose = []
    bedrock = last.provider is not None and last.provider.name == "aws"
    if bedrock and (found := _REGION.fullmatch(last.name)):
        last = Asked(last.provider, found["rest"], "without its region")
        loose.append(last)
    if found := _DATED.fullmatch(last.name):
        loose.append(Asked(last.provider, found["name"], "without its date"))
    elif last.name.endswith(("-default", "-latest")) and "@" in last.rule:
        loose.append(Asked(last.provider, last.name.rpartition("-")[0], "without its version"))
    return loose


def _asked(provider: Provider | None, name: str, rule: str) -> Asked:
    if provider is None and _BEDROCK.fullmatch(name):
        provider = _PROVIDERS["bedrock"]
    elif provider is None and _OPENAI_BASE.match(name):
        provider = _PROVIDERS["openai"]
    return Asked(provider, name, rule)


def _shorter(asked: Asked, whole: str) -> Asked | None:
    """Take one path or prefix off; None where there is none that may go."""
    provider, name, _ = asked
    if found := _PATH.fullmatch(name):
        kind = found.lastgroup or ""
        rest = found[kind]
        return Asked(provider or _PROVIDERS[_PATH_PROVIDER[kind]], rest, f"without {whole.removesuffix(rest)}")
    if provider is not None and provider.name == "aws" and (found := _ROUTE.fullmatch(name)):
        return Asked(provider, found[1], f"without {whole.removesuffix(found[1])}")
    head, slash, rest = name.partition("/")
    if not slash or not rest:
        return None
    rule = f"without {whole.removesuffix(rest)}"
    if head in _GATEWAYS:
        return _asked(provider, rest, rule)
    named = _PROVIDERS.get(head)
    # A prefix that is not the provider's own name belongs to the model's, as at OpenRouter.
    if named is None or (provider is not None and provider.name != named.name):
        return None
    return Asked(named, rest, rule)
