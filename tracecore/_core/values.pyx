# cython: binding=False
"""Attribute values: Python objects to items of a record, and back.

    set_attribute(key, value)
        key   -> id, through a cache keyed by the str object itself; content table on a miss
        value -> by exact type in a few instructions; anything else by the rules of
                 opentelemetry-api 1.45 (_clean_attribute_value), in Python's own time

Owned here: the process's string table and the key cache (which keeps its keys alive, so that a
pointer that matches is the same str). Both are touched under the GIL only; the worker reads the
string table without it (see tc_strings.h).

Nothing here raises for data: a value that cannot be kept is reported and counted.
"""

from collections.abc import Mapping, Sequence

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_AsDouble
from cpython.object cimport PyObject, PyTypeObject, Py_TYPE
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy

from opentelemetry.attributes import BoundedAttributes

from tracecore._core cimport tc
from tracecore.errors import report

cdef extern from "Python.h":
    PyTypeObject PyUnicode_Type, PyLong_Type, PyFloat_Type
    PyObject *Py_True
    PyObject *Py_False
    PyObject *Py_None
    bint PyUnicode_IS_COMPACT_ASCII(PyObject *s) noexcept
    void *PyUnicode_1BYTE_DATA(PyObject *s) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject *s) noexcept
    const char *PyUnicode_AsUTF8AndSize(PyObject *s, Py_ssize_t *n)
    long long PyLong_AsLongLongAndOverflow(PyObject *value, int *overflow)
    str PyUnicode_DecodeUTF8(const char *s, Py_ssize_t n, const char *errors)
    bytes PyBytes_FromStringAndSize(const char *s, Py_ssize_t n)

# A text longer than this is encoded into a temporary: CPython caches the UTF-8 form inside a
# non-ASCII str, which would double the memory of a large one for its whole life.
cdef Py_ssize_t CACHED_UTF8_MAX = 1024

# ---- the string table and the cache in front of it -------------------------------------------

cdef tc.tc_strings *STRINGS = tc.tc_strings_new(256)  # bytes; hardly any key is longer
if STRINGS == NULL:
    raise MemoryError

# Names share the table but may fill only half of it: "GET /user/1234" must not push out keys.
cdef uint32_t NAME_LIMIT = 32768

cdef struct cached_key:
    PyObject *key  # a strong reference to an exact str, or NULL
    uint32_t id

cdef enum:
    N_CACHED = 1024

cdef cached_key KEYS[N_CACHED]


cdef tc.tc_strings *strings() noexcept nogil:
    return STRINGS


cdef inline cached_key *slot_of(PyObject *key) noexcept:
    cdef uintptr_t p = <uintptr_t>key
    return &KEYS[(p >> 4 ^ p >> 14) & (N_CACHED - 1)]


cdef uint32_t intern_slowly(cached_key *slot, PyObject *key, uint32_t limit) noexcept:
    """The id of an exact, non-empty str by content; remembers the object. 0: none."""
    cdef Py_ssize_t n
    cdef const char *bytes
    cdef uint32_t id
    if PyUnicode_GET_LENGTH(key) == 0 or PyUnicode_GET_LENGTH(key) > 256:
        return 0
    bytes = PyUnicode_AsUTF8AndSize(key, &n)
    if bytes == NULL:  # lone surrogates
        PyErr_Clear()
        return 0
    id = tc.tc_strings_intern(STRINGS, <const uint8_t *>bytes, <uint32_t>n, limit)
    if id != 0:
        Py_INCREF(<object>key)
        Py_XDECREF(slot.key)  # a str: runs no code of anybody's
        slot.key = key
        slot.id = id
    return id


cdef inline uint32_t key_id(PyObject *key) noexcept:
    cdef cached_key *slot = slot_of(key)
    if slot.key == key:
        return slot.id
    return intern_slowly(slot, key, tc.TC_STRINGS_MAX)


cdef uint32_t name_id(PyObject *name) noexcept:
    cdef cached_key *slot
    if Py_TYPE(<object>name) != &PyUnicode_Type:
        return 0
    slot = slot_of(name)
    if slot.key == name:
        return slot.id
    return intern_slowly(slot, name, NAME_LIMIT)


# ---- writing ---------------------------------------------------------------------------------

cdef tc.tc_draft_pool ASIDE
ASIDE.first = NULL
ASIDE.n = 0

cdef struct key_bytes:
    # What names an item: an id, or the bytes themselves, or nothing (an element of an array).
    uint32_t id
    const uint8_t *bytes
    uint32_t length


cdef inline int put_flat(tc.tc_draft *draft, key_bytes key, PyObject *value, Py_ssize_t max_length) noexcept:
    """1: put; 0: not one of the plain types, or needs a closer look; -1: no room."""
    cdef PyTypeObject *type = Py_TYPE(<object>value)
    cdef Py_ssize_t n
    cdef const char *bytes
    cdef int overflow
    cdef long long number
    cdef double real
    cdef uint64_t word
    if type == &PyUnicode_Type:
        n = PyUnicode_GET_LENGTH(value)
        if 0 <= max_length < n:
            return 0
        if PyUnicode_IS_COMPACT_ASCII(value):
            bytes = <const char *>PyUnicode_1BYTE_DATA(value)
        elif n > CACHED_UTF8_MAX:
            return 0
        else:
            bytes = PyUnicode_AsUTF8AndSize(value, &n)
            if bytes == NULL:
                PyErr_Clear()
                return 0
        return 1 if tc.tc_draft_put_bytes(draft, tc.TC_STR, key.id, key.bytes, key.length,
                                          <const uint8_t *>bytes, n) else -1
    if type == &PyLong_Type:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow != 0:
            return 0
        return 1 if tc.tc_draft_put_word(draft, tc.TC_INT, key.id, key.bytes, key.length, <uint64_t>number) else -1
    if type == &PyFloat_Type:
        real = PyFloat_AS_DOUBLE(<object>value)
        memcpy(&word, &real, 8)
        return 1 if tc.tc_draft_put_word(draft, tc.TC_DOUBLE, key.id, key.bytes, key.length, word) else -1
    if value == Py_True:
        return 1 if tc.tc_draft_put_tag(draft, tc.TC_TRUE, key.id, key.bytes, key.length) else -1
    if value == Py_False:
        return 1 if tc.tc_draft_put_tag(draft, tc.TC_FALSE, key.id, key.bytes, key.length) else -1
    if value == Py_None:
        return 1 if tc.tc_draft_put_tag(draft, tc.TC_NULL, key.id, key.bytes, key.length) else -1
    return 0


cdef int put_blob(tc.tc_draft *draft, tc.tc_item_type type, key_bytes key, object blob) except -1:
    """Appends bytes; `blob` may be of a subclass, which a parameter of type bytes would refuse."""
    if not tc.tc_draft_put_bytes(draft, type, key.id, key.bytes, key.length,
                                 <const uint8_t *>PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob)):
        raise MemoryError
    return 0


cdef int put_text(tc.tc_draft *draft, key_bytes key, object text) except -1:
    cdef bytes encoded
    try:
        encoded = str.encode(text, "utf-8")
    except UnicodeEncodeError:
        return put_blob(draft, tc.TC_WTF8, key, str.encode(text, "utf-8", "surrogatepass"))
    return put_blob(draft, tc.TC_STR, key, encoded)


def has_own_text(value: object) -> bool:
    """Whether str(value) says more than the object's address: the API's rule for casting to str."""
    return type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__


cdef str refused_as_text(object value):
    """The text that stands for a value of no attribute type, None if there is none."""
    report("attribute_type", "attribute value of type %s: expected bool, str, bytes, int, float, None, or a "
           "sequence or mapping of those; its text is recorded if it has one", type(value).__name__)
    return str(value) if has_own_text(value) else None


cdef int put_value(tc.tc_draft *draft, key_bytes key, object value, Py_ssize_t max_length, uint32_t depth) except -1:
    """Appends a value of any type under the API's rules. Raises what the value's own code raises."""
    cdef int done = put_flat(draft, key, <PyObject *>value, max_length)
    cdef uint32_t content_at
    cdef key_bytes none
    cdef int overflow = 0
    cdef long long number
    cdef double real
    cdef uint64_t word
    if done == 1:
        return 0
    if done == -1:
        raise MemoryError
    if isinstance(value, str):
        if 0 <= max_length < len(value):
            report("attribute_truncated", "a text of %d characters was cut to the limit of %d", len(value), max_length)
            value = str(value[:max_length])
        return put_text(draft, key, value)
    if isinstance(value, int):
        number = PyLong_AsLongLongAndOverflow(<PyObject *>value, &overflow)
        if overflow != 0:
            return put_blob(draft, tc.TC_BIGINT, key, int.__format__(value, "x").encode("ascii"))
        if not tc.tc_draft_put_word(draft, tc.TC_INT, key.id, key.bytes, key.length, <uint64_t>number):
            raise MemoryError
        return 0
    if isinstance(value, float):
        real = PyFloat_AsDouble(value)
        memcpy(&word, &real, 8)
        if not tc.tc_draft_put_word(draft, tc.TC_DOUBLE, key.id, key.bytes, key.length, word):
            raise MemoryError
        return 0
    if isinstance(value, bytes):
        return put_blob(draft, tc.TC_BYTES, key, value)
    if isinstance(value, (list, tuple)) or isinstance(value, Sequence):
        if depth + tc.TC_RECORD_ARRAY_DEPTH > tc.TC_RECORD_MAX_DEPTH:
            raise RecursionError("nested deeper than a receiver could read")
        content_at = tc.tc_draft_open(draft, tc.TC_ARRAY, key.id, key.bytes, key.length)
        if content_at == 0:
            raise MemoryError
        none.id = 0
        none.bytes = NULL
        none.length = 0
        for inner in value:
            put_value(draft, none, inner, max_length, depth + tc.TC_RECORD_ARRAY_DEPTH)
        tc.tc_draft_close(draft, content_at)
        return 0
    if isinstance(value, Mapping):
        if depth + tc.TC_RECORD_MAP_DEPTH > tc.TC_RECORD_MAX_DEPTH:
            raise RecursionError("nested deeper than a receiver could read")
        content_at = tc.tc_draft_open(draft, tc.TC_MAP, key.id, key.bytes, key.length)
        if content_at == 0:
            raise MemoryError
        for inner_key, inner in cleaned_items(value):
            put_keyed(draft, inner_key, inner, max_length, depth + tc.TC_RECORD_MAP_DEPTH)
        tc.tc_draft_close(draft, content_at)
        return 0
    return put_value(draft, key, refused_as_text(value), -1, depth)


cdef object cleaned_items(object mapping):
    """The entries whose keys can be kept: text as it is, other keys as their text, empty ones not at all."""
    cdef dict cleaned
    if type(mapping) is dict:
        for key in <dict>mapping:
            if type(key) is not str or not key:
                break
        else:
            return (<dict>mapping).items()
    cleaned = {}
    for key, value in mapping.items():
        if not key:
            report("attribute_key", "attribute key %r: expected a non-empty str", key)
            continue
        if not isinstance(key, str):
            report("attribute_key", "attribute key of type %s: expected a str; its text is used if it has one",
                   type(key).__name__)
            if not has_own_text(key):
                continue
            key = str(key)
        cleaned[key] = value
    return cleaned.items()


cdef int put_keyed(tc.tc_draft *draft, object key, object value, Py_ssize_t max_length, uint32_t depth) except -1:
    """Appends key and value; the key is a non-empty str."""
    cdef key_bytes k
    cdef bytes encoded
    if type(key) is not str:
        key = str.__str__(key)  # a subclass: its text, by nobody's __str__
    k.id = key_id(<PyObject *>key)
    k.bytes = NULL
    k.length = 0
    if k.id == 0:
        encoded = str.encode(key, "utf-8", "surrogatepass")
        k.bytes = <const uint8_t *>PyBytes_AS_STRING(encoded)
        k.length = <uint32_t>PyBytes_GET_SIZE(encoded)
    return put_value(draft, k, value, max_length, depth)


cdef int put_attribute(tc.tc_draft *draft, object key, object value, uint32_t limit, Py_ssize_t max_length) except -1:
    cdef uint32_t at = draft.length
    cdef key_bytes k
    if tc.TC_UNLIKELY(draft.is_finished):
        return 0  # ended by another thread, or by the code of a value before this one
    if type(key) is str:
        k.id = key_id(<PyObject *>key)
        if k.id != 0:
            k.bytes = NULL
            k.length = 0
            if put_flat(draft, k, <PyObject *>value, max_length) == 1:
                tc.tc_draft_settle_attribute(draft, at, k.id, limit)
                return 1
            draft.length = at
    return put_attribute_slowly(draft, key, value, limit, max_length)


cdef tc.tc_draft *take_aside() except NULL:
    cdef tc.tc_draft *draft = tc.tc_draft_take(&ASIDE)
    if draft == NULL:
        raise MemoryError
    return draft


cdef void give_back_aside(tc.tc_draft *draft) noexcept:
    if draft != NULL:
        tc.tc_draft_give_back(&ASIDE, draft)


cdef int put_attribute_slowly(tc.tc_draft *draft, object key, object value, uint32_t limit,
                              Py_ssize_t max_length) except -1:
    """As put_attribute, for keys and values that may run code of their own."""
    cdef tc.tc_draft *aside = NULL
    cdef uint32_t at
    try:
        if limit == 0:
            draft.dropped_attributes += 1
            return 0
        if not key or not isinstance(key, str):
            report("attribute_key", "attribute key %r: expected a non-empty str", key)
            draft.dropped_attributes += 1
            return 0
        aside = take_aside()
        put_keyed(aside, key, value, max_length, 0)
        at = draft.length
        if not tc.tc_draft_append(draft, aside):
            raise MemoryError("no room for it, or the span has ended meanwhile")
        # Key id 0 takes settle's careful way, which reads the item itself.
        tc.tc_draft_settle_attribute(draft, at, 0, limit)
        return 1
    except Exception as error:
        report("attribute_refused", "attribute %r was not recorded: %s: %s", key, type(error).__name__, error)
        return 0
    finally:
        give_back_aside(aside)


cdef int put_attributes(tc.tc_draft *draft, object attributes, uint32_t limit, Py_ssize_t max_length) except -1:
    try:
        if limit == 0:
            draft.dropped_attributes += <uint32_t>len(attributes)
            return 0
        items = cleaned_items(attributes)
        if not draft.is_finished:
            draft.dropped_attributes += n_fewer(attributes, items)
        for key, value in items:
            put_attribute(draft, key, value, limit, max_length)
        return 1
    except Exception as error:
        report("attribute_refused", "attributes %s were not recorded: %s: %s",
               type(attributes).__name__, type(error).__name__, error)
        return 0


cdef uint32_t n_fewer(object given, object kept) except? 0xffffffff:
    """How many entries were left out; a mapping of many values a key has more items than its length."""
    cdef Py_ssize_t n = len(given) - len(kept)
    return <uint32_t>n if n > 0 else 0


cdef bytes text_bytes(object text):
    try:
        return str.encode(text, "utf-8")
    except UnicodeEncodeError:
        exact = str.encode(text, "utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
        return "".join(["\ufffd" if "\ud800" <= c <= "\udfff" else c for c in exact]).encode("utf-8")


cdef uint32_t put_inner_attributes(tc.tc_draft *draft, object attributes, uint32_t limit,
                                   Py_ssize_t max_length) except? 0xffffffff:
    cdef object kept
    cdef uint32_t dropped = 0
    if not attributes:
        return 0
    if type(attributes) is BoundedAttributes and attributes.maxlen is None:
        attributes = attributes.copy()
    items = cleaned_items(attributes)
    dropped = n_fewer(attributes, items)
    if len(items) > limit:
        kept = list(items)
        dropped += <uint32_t>(len(kept) - limit)
        items = kept[len(kept) - limit:]
    for key, value in items:
        put_keyed_or_report(draft, key, value, max_length)
    return dropped


cdef int put_keyed_or_report(tc.tc_draft *draft, object key, object value, Py_ssize_t max_length) except -1:
    cdef uint32_t at = draft.length
    try:
        put_keyed(draft, key, value, max_length, 1)
    except Exception as error:
        draft.length = at
        report("attribute_refused", "attribute %r was not recorded: %s: %s", key, type(error).__name__, error)
    return 0


# ---- reading -----------------------------------------------------------------------------------

cdef str read_text(const uint8_t *bytes, uint32_t n):
    return PyUnicode_DecodeUTF8(<const char *>bytes, n, "surrogatepass")


cdef str read_string(uint32_t id):
    cdef tc.tc_string s = tc.tc_strings_view(STRINGS, id)
    return read_text(s.bytes, s.length)


cdef object read_value(tc.tc_item *item):
    cdef tc.tc_item inner
    cdef const uint8_t *at
    cdef double real
    if item.type == tc.TC_STR or item.type == tc.TC_WTF8:
        return read_text(item.payload_view, item.payload_length)
    if item.type == tc.TC_INT:
        return <int64_t>tc.tc_load_u64(item.payload_view)
    if item.type == tc.TC_DOUBLE:
        memcpy(&real, item.payload_view, 8)
        return real
    if item.type == tc.TC_TRUE:
        return True
    if item.type == tc.TC_FALSE:
        return False
    if item.type == tc.TC_BYTES:
        return PyBytes_FromStringAndSize(<const char *>item.payload_view, item.payload_length)
    if item.type == tc.TC_BIGINT:
        return int(read_text(item.payload_view, item.payload_length), 16)
    if item.type == tc.TC_MAP:
        return read_attributes(item.payload_view, item.payload_view + item.payload_length)
    if item.type == tc.TC_ARRAY:
        values = []
        at = item.payload_view
        while tc.tc_item_next(&at, item.payload_view + item.payload_length, &inner) == 1:
            values.append(read_value(&inner))
        return tuple(values)
    return None


cdef dict read_attributes(const uint8_t *items, const uint8_t *end):
    cdef tc.tc_item item
    cdef dict attributes = {}
    while tc.tc_item_next(&items, end, &item) == 1:
        if item.dead or item.type > tc.TC_MAP:
            continue
        if item.key_view == NULL:
            attributes[read_string(item.key_id)] = read_value(&item)
        else:
            attributes[read_text(item.key_view, item.key_length)] = read_value(&item)
    return attributes


def interned() -> tuple[int, int]:
    """Return how many strings the process's table holds and their bytes. Any thread."""
    return STRINGS.n - 1, STRINGS.n_bytes


cdef object exact_text(object name):
    """A name as a str and no subclass: a span must not hold what could refer back to it."""
    if isinstance(name, str):
        return str.__str__(name)
    try:
        return str.__str__(str(name))
    except Exception as error:
        report("span_text", "a name of type %s has no text: %s: %s", type(name).__name__, type(error).__name__, error)
        return type(name).__name__
