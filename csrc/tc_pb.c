#include "tc_pb.h"

#include <stdlib.h>

void tc_bytes_clear(tc_bytes *b) {
    free(b->data);
    *b = (tc_bytes){0};
}

bool tc_bytes_grow(tc_bytes *b, uint64_t n) {
    if (b->failed) return false;
    uint64_t capacity = b->capacity == 0 ? 4096 : b->capacity;
    while (capacity - b->n < n) capacity *= 2;
    uint8_t *data = realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void tc_pb_close(tc_bytes *b, uint64_t content_at, uint32_t guess) {
    if (b->failed) return;
    uint64_t n = b->n - content_at;
    uint32_t needed = tc_pb_varint_bytes(n);
    if (TC_UNLIKELY(needed != guess)) {
        if (!tc_bytes_room(b, TC_PB_MAX_VARINT)) return;
        memmove(b->data + content_at - guess + needed, b->data + content_at, n);
        b->n = content_at - guess + needed + n;
    }
    tc_pb_varint_at(b->data + content_at - guess, n);
}
