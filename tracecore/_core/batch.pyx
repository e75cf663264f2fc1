# cython: binding=False
"""A batch of finished spans: what an exporter gets.

    exporter that speaks OTLP     batch.otlp()       encoded without the GIL, once, kept for retries
                                  batch.otlp_json()  the same as JSON
    exporter written for the SDK  batch.spans()      ReadableSpans
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tracecore._core cimport tc, values
from tracecore._core.decode cimport readable_span
from tracecore._core.origin cimport Origin

cdef extern from "Python.h":
    bytes PyBytes_FromStringAndSize(const char *s, Py_ssize_t n)

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


cdef class Batch:
    """Finished spans of one provider. Threads: one at a time."""

    def __cinit__(self, Origin origin not None):
        tc.tc_batch_init(&self.records)
        self.origin = origin

    def __dealloc__(self):
        tc.tc_batch_clear(&self.records)

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

    def otlp(self) -> bytes:
        """Return one ExportTraceServiceRequest with every span of the batch.

        Raises: MemoryError. The GIL is released while encoding.
        """
        cdef tc.tc_bytes out
        cdef tc.tc_otlp_names names
        cdef uint64_t n_lost = 0
        cdef tc.tc_status status
        cdef bytes resource_fields
        if self.encoded is not None:
            return self.encoded
        resource_fields = self.origin.resource_fields  # held here: a fork or detector may replace it
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
            self.encoded = PyBytes_FromStringAndSize(<const char *>out.data, out.n)
            self.lost_attributes = n_lost
            return self.encoded
        finally:
            give_back_buffer(&out)

    def otlp_json(self) -> bytes:
        """Return what otlp() returns as OTLP's JSON, one line without its end.

        Raises: MemoryError. The GIL is released while encoding.
        """
        cdef tc.tc_bytes out
        cdef tc.tc_status status
        cdef bytes request
        cdef const uint8_t *at
        cdef uint64_t n
        if self.encoded_json is not None:
            return self.encoded_json
        request = self.otlp()
        at = <const uint8_t *><const char *>request
        n = len(request)
        out = take_buffer()
        try:
            with nogil:
                status = tc.tc_otlp_json(&out, at, n)
            if status != tc.TC_OK:
                raise MemoryError("encoding %d spans as JSON: %s" % (self.records.n, tc.tc_status_text(status).decode()))
            self.encoded_json = PyBytes_FromStringAndSize(<const char *>out.data, out.n)
            return self.encoded_json
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

    def spans(self) -> list:
        """Return a ReadableSpan for each record, oldest first."""
        cdef list spans = []
        cdef unsigned int i
        for i in range(self.records.n):
            spans.append(readable_span(tc.tc_batch_record_view(&self.records, i), self.origin))
        return spans
