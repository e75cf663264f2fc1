/* tc_strings: bytes that repeat, as small ids.
 *
 *     intern("http.method") -> 7          span path, one thread at a time
 *     view(7) -> "http.method", 11        any thread, no lock
 *
 * One table holds attribute keys and names, one a recorder holds its encoded
 * instrumentation scopes. Append-only: an id's bytes are written before the id
 * is handed out and never move or change, so a reader that got the id out of a
 * committed record may read them. Bounded in ids and in bytes; past the bound
 * intern answers 0 and the caller keeps the string itself.
 */
#ifndef TC_STRINGS_H
#define TC_STRINGS_H

#include "tc_base.h"

#include <stdatomic.h>

#define TC_STRINGS_MAX 65536u             /* ids: 1 .. TC_STRINGS_MAX - 1; 0 means "not interned" */
#define TC_STRINGS_MAX_BYTES (4u << 20)   /* what all strings may take together */
#define TC_STRINGS_CHUNK 1024u            /* entries allocated at a time */

typedef struct tc_string {
    const uint8_t *bytes; /* owned by the table */
    uint32_t length;
    uint32_t hash;
} tc_string;

typedef struct tc_strings {
    /* Chunk pointers are stored with release after their memory is ready and
     * loaded with acquire in tc_strings_view. */
    _Atomic(tc_string *) chunks[TC_STRINGS_MAX / TC_STRINGS_CHUNK];
    uint32_t *slots; /* open addressing: id or 0; twice TC_STRINGS_MAX slots at most */
    uint32_t n_slots;
    /* ids handed out, including the unused 0; written by the span path and read
     * by any thread: relaxed, it bounds ids and orders nothing */
    _Atomic uint32_t n;
    uint32_t n_bytes;
    uint32_t max_length;
    uint8_t *arena; /* where the next string goes; older arenas stay reachable through `previous` */
    uint32_t arena_used, arena_bytes;
} tc_strings;

/* max_length: bytes of the longest string worth a place. NULL: no memory. */
tc_strings *tc_strings_new(uint32_t max_length);
void tc_strings_free(tc_strings *strings);

/* The id of these bytes, or 0 when the table or the string is too large (or
 * memory is short). No new id is given once `limit` ids exist. */
uint32_t tc_strings_intern(tc_strings *strings, const uint8_t *bytes, uint32_t length, uint32_t limit);

/* The bytes of an id that was handed out; {NULL, 0} for any other. */
tc_string tc_strings_view(const tc_strings *strings, uint32_t id);

#endif
