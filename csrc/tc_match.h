/* tc_match: sets of patterns over keys and names.
 *
 *     bit 0: exact "user.id"    bit 1: glob "http.request.header.*"    bit 2: regex "^card"
 *
 *     tc_match_id(7)  ->  bits of the patterns that match string 7: once a string, then one load
 *     tc_match_bytes  ->  the same for bytes that have no id
 *
 * Several patterns may stand for one bit. A key is matched when it is first
 * met and not once a span: strings never change under their id.
 *
 *     exact    the bytes themselves
 *     glob     the whole string: * any run, ? one character, [a-z] [!a-z] one of ASCII; [*] is a plain *
 *     regex    anywhere in the string: tc_regex
 *
 * Memory that is short for remembering costs time, never an answer. One thread
 * at a time.
 */
#ifndef TC_MATCH_H
#define TC_MATCH_H

#include "tc_regex.h"
#include "tc_strings.h"

#define TC_MATCH_MAX_BITS 63u /* the 64th says that an answer is known */

typedef enum tc_pattern_kind { TC_EXACT = 0, TC_GLOB = 1, TC_REGEX = 2 } tc_pattern_kind;

typedef struct tc_pattern {
    tc_pattern_kind kind;
    uint8_t *bytes; /* owned */
    uint32_t length;
    bool folds; /* ASCII's case does not count; `bytes` are lower case */
    tc_regex *regex; /* owned; TC_REGEX only */
    uint64_t bits;
} tc_pattern;

typedef struct tc_match {
    tc_pattern *patterns;
    uint32_t n, capacity;
    uint64_t *known[TC_STRINGS_MAX / TC_STRINGS_CHUNK]; /* by id: bits, and TC_MATCH_KNOWN */
} tc_match;

#define TC_MATCH_KNOWN (1ull << 63)

void tc_match_init(tc_match *match);
void tc_match_clear(tc_match *match);
void tc_match_forget(tc_match *match); /* the ids: before strings of another table are asked about */

/* False: the pattern cannot be used, `fault` says why. `flags` are tc_regex's;
 * TC_REGEX_IGNORE_CASE counts for all kinds. */
bool tc_match_add(tc_match *match, uint32_t bit, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n,
                  uint32_t flags, tc_regex_fault *fault);

uint64_t tc_match_bytes(tc_match *match, const uint8_t *bytes, uint32_t n);

/* What `view` answers is not asked again until tc_match_forget. */
uint64_t tc_match_id_slowly(tc_match *match, const tc_strings *strings, uint32_t id);
static inline uint64_t tc_match_id(tc_match *m, const tc_strings *strings, uint32_t id) {
    if (TC_LIKELY(id < TC_STRINGS_MAX)) {
        const uint64_t *chunk = m->known[id / TC_STRINGS_CHUNK];
        uint64_t bits = chunk != NULL ? chunk[id % TC_STRINGS_CHUNK] : 0;
        if (TC_LIKELY(bits != 0)) return bits & ~TC_MATCH_KNOWN;
    }
    return tc_match_id_slowly(m, strings, id);
}

/* Keeps what the caller knows of an id, for tables that are looked up otherwise. */
void tc_match_keep(tc_match *match, uint32_t id, uint64_t bits);

/* The answer for an id that was kept or asked about; false: none. */
static inline bool tc_match_known(const tc_match *m, uint32_t id, uint64_t *bits) {
    const uint64_t *chunk = m->known[id % TC_STRINGS_MAX / TC_STRINGS_CHUNK];
    uint64_t found = chunk != NULL ? chunk[id % TC_STRINGS_CHUNK] : 0;
    *bits = found & ~TC_MATCH_KNOWN;
    return found != 0;
}

#endif
