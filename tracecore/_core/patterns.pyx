# cython: binding=False
"""Patterns and hashes by themselves: to refuse a wrong one where it was written, and to compare with re and hmac.

Source: csrc/tc_regex.h, tc_match.h and tc_hmac.h.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc

EXACT = <int>tc.TC_EXACT
GLOB = <int>tc.TC_GLOB
REGEX = <int>tc.TC_REGEX
IGNORE_CASE = <int>tc.TC_REGEX_IGNORE_CASE
DOT_ALL = <int>tc.TC_REGEX_DOT_ALL
MULTILINE = <int>tc.TC_REGEX_MULTILINE
MAX_RULES = <int>tc.TC_MATCH_MAX_BITS


class PatternFault(ValueError):
    """A pattern that cannot be used: the character where, and why."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(at, reason)
        self.at = at
        self.reason = reason


def fault_of(pattern: bytes, at: int, reason: bytes) -> PatternFault:
    return PatternFault(len(pattern[:at].decode("utf-8", "ignore")), reason.decode())


cdef class Pattern:
    """One pattern over the UTF-8 of a text.

    Arguments: EXACT, GLOB or REGEX; the pattern as UTF-8; flags.
    Raises: PatternFault. Threads: one at a time.
    """
    cdef tc.tc_match match

    def __cinit__(self, int kind, bytes pattern not None, uint32_t flags=0):
        cdef tc.tc_regex_fault fault
        tc.tc_match_init(&self.match)
        if not tc.tc_match_add(&self.match, 0, <tc.tc_pattern_kind>kind, <const uint8_t *>PyBytes_AS_STRING(pattern),
                               <uint32_t>PyBytes_GET_SIZE(pattern), flags, &fault):
            raise fault_of(pattern, fault.at, fault.reason)

    def __dealloc__(self):
        tc.tc_match_clear(&self.match)

    def matches(self, text: bytes) -> bool:
        """Whether the pattern matches: the whole text if exact or a glob, anywhere in it if an expression."""
        cdef bytes given = text
        return tc.tc_match_bytes(&self.match, <const uint8_t *>PyBytes_AS_STRING(given),
                                 <uint32_t>PyBytes_GET_SIZE(given)) != 0


cdef class Regex:
    """One regular expression, for where it finds something. Raises: PatternFault. Threads: one at a time."""
    cdef tc.tc_regex *regex

    def __cinit__(self, bytes pattern not None, uint32_t flags=0):
        cdef tc.tc_regex_fault fault
        self.regex = tc.tc_regex_new(<const uint8_t *>PyBytes_AS_STRING(pattern), <uint32_t>PyBytes_GET_SIZE(pattern),
                                     flags, &fault)
        if self.regex == NULL:
            raise fault_of(pattern, fault.at, fault.reason)

    def __dealloc__(self):
        tc.tc_regex_free(self.regex)

    def search(self, text: bytes) -> bool:
        cdef bytes given = text
        return tc.tc_regex_search(self.regex, <const uint8_t *>PyBytes_AS_STRING(given),
                                  <uint32_t>PyBytes_GET_SIZE(given))

    def find(self, text: bytes, at: int = 0) -> tuple[int, int] | None:
        """Return the bytes from and to which the leftmost match from `at` on stands."""
        cdef bytes given = text
        cdef uint32_t start, end
        cdef uint64_t n_read = 0
        if tc.tc_regex_find(self.regex, <const uint8_t *>PyBytes_AS_STRING(given), <uint32_t>PyBytes_GET_SIZE(given),
                            at, &start, &end, &n_read):
            return start, end
        return None


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256 as the core computes it."""
    cdef tc.tc_hmac_key made
    cdef uint8_t out[32]
    cdef bytes k = key, m = message
    tc.tc_hmac_key_init(&made, <const uint8_t *>PyBytes_AS_STRING(k), <uint64_t>PyBytes_GET_SIZE(k))
    tc.tc_hmac(&made, <const uint8_t *>PyBytes_AS_STRING(m), <uint64_t>PyBytes_GET_SIZE(m), out)
    return (<char *>out)[:32]
