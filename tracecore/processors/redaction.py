"""Redaction: attributes dropped, hashed, replaced, renamed or cut before the bytes leave the process.

    provider.add_span_processor(Redaction([
        drop("http.request.header.authorization", "*.password"),
        hashed("user.id", "enduser.*"),
        replaced(values=r"\\b\\d{13,16}\\b", text="[card]"),      # in any text
        renamed("db.statement", to="db.query.text"),
        truncated("exception.stacktrace", to=4000),
    ]))

Rules apply in order, each to what those before it left; after `drop` and `kept` no other does, and in a value that was
hashed or replaced as a whole nothing is searched. So an allow list is `[kept("http.*", "url.path"), drop("*")]`. What a rule is about:

    keys      of attributes of spans, events and links, and of entries of maps in them (each by its own key)
    values=   a regular expression, searched in texts and in the digits of integers: the rule is about what it finds.
              Without keys it also acts on names of spans and events and on status descriptions (not if names=False)

A rule without `values` is about the whole value. Hashes are 32 hexadecimal digits of HMAC-SHA-256, so that few possible
values (a telephone number) cannot be tried out. The key is random for each process; pass the same `hash_key` to services
whose hashes must be equal. `hmac.new(key, b"value", "sha256").hexdigest()[:32]` gives the same text.

Fails closed: a span that cannot be redacted (memory is short) keeps ids, times, kind and status code only, and is reported
as `redaction_failed`.

Not redacted: what processors written in Python and SimpleSpanProcessor get on the calling thread (`redaction_bypassed` says
so once); names in the metrics of a SpanMetrics that was added before it (the same); tracestate; floats and integers beyond
64 bits, which expressions do not look at.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from tracecore._core import patterns as core_patterns
from tracecore._core import redact as core
from tracecore.errors import ConfigurationError
from tracecore.instrumentation_scope import InstrumentationScope
from tracecore.processors.patterns import Pattern, each_compiled, expression
from tracecore.resource import Resource

__all__ = ["Redaction", "Rule", "drop", "hashed", "kept", "renamed", "replaced", "truncated"]

_MIN_KEY_BYTES = 16
"""RFC 2104 discourages keys shorter than the hash; below 128 bits trying keys comes into reach."""

_MAX_TEXT_BYTES = 4096
_MAX_CHARACTERS = (1 << 32) - 1


class Rule:
    """One rule; made by the functions below."""

    __slots__ = ("action", "hash_key", "keys", "n_characters", "text", "values")

    def __init__(
        self,
        action: int,
        keys: Any,
        values: Any = None,
        *,
        text: bytes = b"",
        n_characters: int = 0,
        hash_key: bytes | None = None,
    ) -> None:
        self.action = action
        self.keys = each_compiled("keys", keys)
        self.values = None if values is None else expression("values", values)
        self.text = text
        self.n_characters = n_characters
        self.hash_key = hash_key
        if not self.keys and self.values is None:
            raise ConfigurationError("keys", keys, "a pattern at least, or values=")


def drop(*keys: Pattern, values: Pattern | None = None) -> Rule:
    """Leave out attributes with these keys; with `values`, those in which it finds something (of an array the element)."""
    return Rule(core.DROP, keys, values)


def kept(*keys: Pattern) -> Rule:
    """Leave attributes with these keys as they are: no later rule applies to them or to what is in them."""
    return Rule(core.KEEP, keys)


def hashed(*keys: Pattern, values: Pattern | None = None, hash_key: bytes | None = None) -> Rule:
    """Put a keyed hash in place of the value, or of each part that `values` finds. `hash_key`: this rule's own."""
    return Rule(core.HASH, keys, values, hash_key=None if hash_key is None else _checked_key(hash_key))


def replaced(*keys: Pattern, values: Pattern | None = None, text: str = "[redacted]") -> Rule:
    """Put `text` in place of the value, or of each part that `values` finds."""
    return Rule(core.REPLACE, keys, values, text=_encoded("text", text))


def renamed(*keys: Pattern, to: str) -> Rule:
    """Give attributes the key `to`. Where two have it then, the later one stays, as with set_attribute."""
    if not to:
        raise ConfigurationError("to", to, "a non-empty str")
    return Rule(core.RENAME, keys, text=_encoded("to", to))


def truncated(*keys: Pattern, to: int) -> Rule:
    """Keep the first `to` characters of texts (of bytes, bytes)."""
    if isinstance(to, bool) or not isinstance(to, int) or not 0 <= to <= _MAX_CHARACTERS:
        raise ConfigurationError("to", to, f"characters from 0 to {_MAX_CHARACTERS}")
    return Rule(core.TRUNCATE, keys, n_characters=to)


class Redaction:
    """Applies rules to every span behind `add_span_processor`, for all exporters of the provider.

    Arguments:
        rules: up to 63, in the order in which they apply; more go into another Redaction.
        names: whether rules with `values` and without keys act on names and status descriptions too.
        resource: whether attributes of the resource and of instrumentation scopes are redacted too.
        hash_key: at least 16 bytes, for `hashed` rules without one of their own; random where it is None.
    Raises: ConfigurationError. Threads: any.
    """

    hides_values = True
    """Whoever sees spans without it sees what must not be seen: the provider says so."""

    def __init__(
        self, rules: Iterable[Rule], *, names: bool = True, resource: bool = False, hash_key: bytes | None = None
    ) -> None:
        checked = list(rules)
        for rule in checked:
            if not isinstance(rule, Rule):
                raise ConfigurationError("rules", rule, "rules made by drop(), kept(), hashed(), replaced(), ...")
        if not 1 <= len(checked) <= core_patterns.MAX_RULES:
            raise ConfigurationError("rules", len(checked), f"from 1 to {core_patterns.MAX_RULES} rules")
        key = secrets.token_bytes(32) if hash_key is None else _checked_key(hash_key)
        self._rules = [
            (rule.action, rule.keys, rule.values, rule.text, rule.n_characters, rule.hash_key or key) for rule in checked
        ]
        self._names = bool(names)
        self.hides_names = self._names and any(rule.values is not None and not rule.keys for rule in checked)
        self._resource = bool(resource)

    def attach_stage(self, origin: Any, *, first: bool = True) -> core.RedactStage:
        """Return the stage for one drain of a provider; `add_span_processor` calls it."""
        if not self._resource:
            return core.RedactStage(self._rules, self._names)
        return core.RedactStage(self._rules, self._names, Resource, InstrumentationScope)


def _checked_key(key: Any) -> bytes:
    if not isinstance(key, (bytes, bytearray)) or len(key) < _MIN_KEY_BYTES:
        # The key itself stays out of the message.
        shown = f"{len(key)} bytes" if isinstance(key, (bytes, bytearray)) else type(key).__name__
        raise ConfigurationError("hash_key", shown, f"at least {_MIN_KEY_BYTES} bytes")
    return bytes(key)


def _encoded(variable: str, text: Any) -> bytes:
    if not isinstance(text, str):
        raise ConfigurationError(variable, text, "a str")
    try:
        encoded = text.encode()
    except UnicodeEncodeError as fault:
        raise ConfigurationError(variable, text, f"valid Unicode: {fault}") from None
    if len(encoded) > _MAX_TEXT_BYTES:
        raise ConfigurationError(variable, text[:80], f"at most {_MAX_TEXT_BYTES} bytes")
    return encoded
