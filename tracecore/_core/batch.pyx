# cython: binding=False
"""A batch of finished spans: what an exporter gets, and what exporters share.

    exporter that speaks OTLP     batch.otlp()          encoded without the GIL
                                  batch.otlp_json()     the same as JSON
                                  batch.packed(...)     the same, compressed
    exporter with its own format  batch.form(key, make)
    exporter written for the SDK  batch.spans()         ReadableSpans

Every form is made once, whichever exporter asks first; who asks meanwhile waits without the GIL until it is made. All
of them go with the batch, when the last exporter lets go of it. ReadableSpans are the exception: they take ten times the
memory of the records, so they are shared only while somebody holds them.
"""

from weakref import ref

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport ids, tc, values
from tracecore._core.decode cimport readable_span
from tracecore._core.origin cimport Origin

cdef extern from "Python.h":
    bytes PyBytes_FromStringAndSize(const char *s, Py_ssize_t n)
    unsigned long PyThread_get_thread_ident()

# The buffer of the last request, to encode the next one into: first touches of fresh pages cost as much
# as encoding. Taken and given back under the GIL, so two workers cannot hold it at once.
cdef tc.tc_bytes SPARE
SPARE.data = NULL
SPARE.n = SPARE.capacity = 0
SPARE.failed = False

# What a larger request needed goes back to the system.
cdef uint64_t MAX_SPARE_BYTES = 4 << 20


cdef tc.tc_bytes take_buffer() noexcept:
    cdef tc.tc_bytes taken = SPARE
    SPARE.data = NULL
    SPARE.n = SPARE.capacity = 0
    taken.n = 0
    return taken


cdef void give_back_buffer(tc.tc_bytes *buffer) noexcept:
    if SPARE.data == NULL and not buffer.failed and buffer.capacity <= MAX_SPARE_BYTES:
        SPARE.data = buffer.data
        SPARE.capacity = buffer.capacity
    else:
        tc.tc_bytes_clear(buffer)


# A form takes milliseconds; this is for the day on which a wake-up goes astray.
cdef uint64_t LOOK_AGAIN_NS = 100_000_000


class Spans(list):
    """ReadableSpans, oldest first: a list that can be referred to weakly."""

    __slots__ = ("__weakref__",)


cdef class Batch:
    """Finished spans of one provider.

    Threads: one at a time while stages change it; afterwards any number at once.
    Fork: the child's copy works, whatever the parent's threads were doing to it.
    """

    def __cinit__(self, Origin origin not None):
        tc.tc_batch_init(&self.records)
        if tc.tc_wake_init(&self.made) != tc.TC_OK:
            raise MemoryError
        self.origin = origin
        self.forms = {}
        self.making = set()
        self.encoded_by = set()
        self.generation = ids.generation_view()[0]

    def __dealloc__(self):
        tc.tc_batch_clear(&self.records)
        tc.tc_wake_destroy(&self.made)

    def __len__(self) -> int:
        return self.records.n

    @property
    def record_bytes(self) -> int:
        """Bytes of the records, before encoding."""
        return self.records.n_bytes

    @property
    def held_bytes(self) -> int:
        """Memory held for the records."""
        return tc.tc_batch_held_bytes(&self.records)

    # ---- stages, before an exporter sees the batch ------------------------------------------

    def remove(self, indexes: Iterable[int]) -> None:
        """Take out the spans at these indexes, which count from the batch as it is. Raises: IndexError, nothing done."""
        cdef list checked = [int(i) for i in indexes]
        for i in checked:
            if not 0 <= i < self.records.n:
                raise IndexError(i)
        for i in checked:
            tc.tc_batch_remove(&self.records, i)
        tc.tc_batch_settle(&self.records)

    def add(self, Batch other not None) -> None:
        """Append every span of another batch of the same provider. Raises: MemoryError, ValueError; nothing done."""
        cdef uint32_t i, n = self.records.n
        cdef tc.tc_status status = tc.TC_OK
        if other.origin is not self.origin or other is self:
            raise ValueError("a batch takes the spans of another one of its own provider")
        with nogil:
            for i in range(other.records.n):
                status = tc.tc_batch_append(&self.records, tc.tc_batch_record_view(&other.records, i))
                if status != tc.TC_OK:
                    self.records.n = n
                    break
        if status != tc.TC_OK:
            raise MemoryError

    def settle(self) -> int:
        """Close the gaps that tc_batch_remove left; return how many there were."""
        return tc.tc_batch_settle(&self.records)

    def trim(self) -> None:
        """Give back memory that no record uses."""
        tc.tc_batch_trim(&self.records)

    # ---- exporters ---------------------------------------------------------------------------

    def form(self, key: object, make: Callable[[], object]) -> object:
        """Return what `make()` returns, called once a batch and key (any hashable, as a format's name) and kept.

        What `make` raises is raised, and the next one who asks tries again. It must not ask for the same key.
        """
        return self.form_of(key, make)

    def packed(self, plain: bytes, coding: str, compress: Callable[[bytes], bytes]) -> bytes:
        """Return `compress(plain)`, where `coding` names what it does ("gzip"), or `plain` itself for "none".

        Made once a coding where `plain` is one of the batch's forms: otlp(), or whatever form() returned.
        """
        if coding == "none":
            return plain
        for key, known in list(self.forms.items()):
            if known is plain:
                return self.form_of((key, coding), lambda: compress(plain))
        return compress(plain)

    def otlp(self) -> bytes:
        """Return one ExportTraceServiceRequest with every span of the batch.

        Raises: MemoryError. The GIL is released while encoding.
        """
        self.encoded_by.add(PyThread_get_thread_ident())
        return self.form_of("otlp", self.encode_otlp)

    @property
    def lost_attributes(self) -> int:
        """Attributes that the encoding could not hold, if this thread asked for it; else 0."""
        return self.n_lost if PyThread_get_thread_ident() in self.encoded_by else 0

    def spans(self) -> Spans:
        """Return a ReadableSpan for each record, oldest first; the same list as long as somebody holds it."""
        cdef object known
        if self.spans_view is not None:
            known = self.spans_view()
            if known is not None:
                return known
        # Kept among the forms only until it is handed out: whoever waits for it takes it from there.
        known = self.form_of("spans", self.decode_spans)
        self.spans_view = ref(known)
        self.forms.pop("spans", None)
        return known

    # ---- making a form once ----------------------------------------------------------------------

    cdef object form_of(self, object key, object make):
        cdef object found
        cdef uint64_t seen
        while True:
            found = self.forms.get(key)
            if found is not None:
                return found
            self.notice_fork()
            if key not in self.making:
                self.making.add(key)
                break
            seen = tc.tc_wake_generation(&self.made)  # before anybody else can run: the wake-up is not missed
            with nogil:
                tc.tc_wake_wait(&self.made, seen, LOOK_AGAIN_NS, False)
        try:
            found = make()
            self.forms[key] = found
            return found
        finally:
            self.notice_fork()
            self.making.discard(key)
            tc.tc_wake_all(&self.made)

    cdef void notice_fork(self) noexcept:
        """In a forked child the threads that were making forms are gone, and one of them may hold the lock."""
        if self.generation != ids.generation_view()[0]:
            self.generation = ids.generation_view()[0]
            self.making.clear()
            tc.tc_wake_init_in_child(&self.made)

    def encode_otlp(self) -> bytes:
        """Encode anew. Use otlp()."""
        cdef tc.tc_bytes out
        cdef tc.tc_otlp_names names
        cdef uint64_t n_lost = 0
        cdef tc.tc_status status
        cdef bytes resource_fields = self.origin.resource_fields  # held here: a fork or detector may replace it
        names.strings = values.strings()
        names.scopes = self.origin.scopes
        names.resource = <const uint8_t *><const char *>resource_fields
        names.resource_bytes = len(resource_fields)
        out = take_buffer()
        try:
            with nogil:
                status = tc.tc_otlp_request(&out, &self.records, 0, self.records.n, &names, &n_lost)
            if status != tc.TC_OK:
                raise MemoryError("encoding %d spans: %s" % (self.records.n, tc.tc_status_text(status).decode()))
            self.n_lost = n_lost
            return PyBytes_FromStringAndSize(<const char *>out.data, out.n)
        finally:
            give_back_buffer(&out)

    def otlp_json(self) -> bytes:
        """Return what otlp() returns as OTLP's JSON, one line without its end.

        Raises: MemoryError. The GIL is released while encoding.
        """
        self.otlp()  # which counts for this thread what could not be encoded
        return self.form_of("otlp_json", self.encode_otlp_json)

    def encode_otlp_json(self) -> bytes:
        """Encode anew. Use otlp_json()."""
        cdef tc.tc_bytes out
        cdef tc.tc_status status
        cdef bytes request = self.otlp()
        cdef const uint8_t *at
        cdef uint64_t n
        at = <const uint8_t *><const char *>request
        n = len(request)
        out = take_buffer()
        try:
            with nogil:
                status = tc.tc_otlp_json(&out, at, n)
            if status != tc.TC_OK:
                raise MemoryError("encoding %d spans as JSON: %s" % (self.records.n, tc.tc_status_text(status).decode()))
            return PyBytes_FromStringAndSize(<const char *>out.data, out.n)
        finally:
            give_back_buffer(&out)

    def part(self, uint32_t first, uint32_t n) -> Batch:
        """Return copies of up to `n` spans from number `first` on as a batch of their own: for a receiver that takes
        no larger request.

        Raises: MemoryError.
        """
        cdef Batch batch = Batch(self.origin)
        cdef uint32_t i
        for i in range(first, min(<uint64_t>first + n, <uint64_t>self.records.n)):
            if tc.tc_batch_append(&batch.records, tc.tc_batch_record_view(&self.records, i)) != tc.TC_OK:
                raise MemoryError
        return batch

    def decode_spans(self) -> Spans:
        """Decode, unless whoever was waited for did. Use spans()."""
        cdef unsigned int i
        spans = None if self.spans_view is None else self.spans_view()
        if spans is not None:
            return spans
        spans = Spans()
        for i in range(self.records.n):
            spans.append(readable_span(tc.tc_batch_record_view(&self.records, i), self.origin))
        return spans
