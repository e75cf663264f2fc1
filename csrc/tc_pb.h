/* tc_pb: just enough protobuf to write messages.
 *
 * Output grows in a tc_bytes. Running out of memory sets `failed` and makes the
 * rest harmless, so an encoder checks once at its end. Nested messages are
 * opened with a guess of how many bytes their length will take and closed by
 * filling it in, moving the content when the guess was wrong: lengths come out
 * minimal, as every other writer makes them.
 *
 * Source: protobuf.dev, "Encoding".
 */
#ifndef TC_PB_H
#define TC_PB_H

#include "tc_base.h"

#include <stdbool.h>

typedef struct tc_bytes {
    uint8_t *data; /* malloc'd, owned */
    uint64_t n;
    uint64_t capacity;
    bool failed; /* memory ran out; the content is unusable */
} tc_bytes;

void tc_bytes_clear(tc_bytes *bytes);
/* Room for n more bytes; false sets `failed`. */
bool tc_bytes_grow(tc_bytes *bytes, uint64_t n);

static inline bool tc_bytes_room(tc_bytes *b, uint64_t n) {
    return TC_LIKELY(b->capacity - b->n >= n) || tc_bytes_grow(b, n);
}

enum tc_pb_wire { TC_PB_VARINT = 0, TC_PB_FIXED64 = 1, TC_PB_LENGTH = 2, TC_PB_FIXED32 = 5 };

#define TC_PB_MAX_VARINT 10

static inline uint32_t tc_pb_varint_bytes(uint64_t v) {
    uint32_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}
static inline uint8_t *tc_pb_varint_at(uint8_t *p, uint64_t v) {
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}
/* Fields up to 2047: tags of at most two bytes. */
static inline uint8_t *tc_pb_tag_at(uint8_t *p, uint32_t field, enum tc_pb_wire wire) {
    return tc_pb_varint_at(p, field << 3 | (uint32_t)wire);
}

static inline void tc_pb_varint(tc_bytes *b, uint32_t field, uint64_t v) {
    if (!tc_bytes_room(b, 2 + TC_PB_MAX_VARINT)) return;
    b->n = (uint64_t)(tc_pb_varint_at(tc_pb_tag_at(b->data + b->n, field, TC_PB_VARINT), v) - b->data);
}
static inline void tc_pb_fixed64(tc_bytes *b, uint32_t field, uint64_t v) {
    if (!tc_bytes_room(b, 10)) return;
    uint8_t *p = tc_pb_tag_at(b->data + b->n, field, TC_PB_FIXED64);
    for (int i = 0; i < 8; i++) *p++ = (uint8_t)(v >> (8 * i));
    b->n = (uint64_t)(p - b->data);
}
static inline void tc_pb_fixed32(tc_bytes *b, uint32_t field, uint32_t v) {
    if (!tc_bytes_room(b, 6)) return;
    uint8_t *p = tc_pb_tag_at(b->data + b->n, field, TC_PB_FIXED32);
    for (int i = 0; i < 4; i++) *p++ = (uint8_t)(v >> (8 * i));
    b->n = (uint64_t)(p - b->data);
}
static inline void tc_pb_bytes(tc_bytes *b, uint32_t field, const uint8_t *bytes, uint64_t n) {
    if (!tc_bytes_room(b, 2 + TC_PB_MAX_VARINT + n)) return;
    uint8_t *p = tc_pb_varint_at(tc_pb_tag_at(b->data + b->n, field, TC_PB_LENGTH), n);
    if (n != 0) memcpy(p, bytes, n);
    b->n = (uint64_t)(p + n - b->data);
}
static inline void tc_pb_raw(tc_bytes *b, const uint8_t *bytes, uint64_t n) {
    if (!tc_bytes_room(b, n)) return;
    if (n != 0) memcpy(b->data + b->n, bytes, n);
    b->n += n;
}

/* Opens a nested message whose length is guessed to take `guess` bytes (1-10);
 * the answer goes to tc_pb_close together with the same guess. */
static inline uint64_t tc_pb_open(tc_bytes *b, uint32_t field, uint32_t guess) {
    if (!tc_bytes_room(b, 2 + TC_PB_MAX_VARINT)) return 0;
    b->n = (uint64_t)(tc_pb_tag_at(b->data + b->n, field, TC_PB_LENGTH) - b->data) + guess;
    return b->n;
}
void tc_pb_close(tc_bytes *bytes, uint64_t content_at, uint32_t guess);

#endif
