#include "tc_match.h"

#include <stdlib.h>

void tc_match_init(tc_match *m) { *m = (tc_match){0}; }

void tc_match_forget(tc_match *m) {
    for (size_t i = 0; i < sizeof m->known / sizeof *m->known; i++) {
        free(m->known[i]);
        m->known[i] = NULL;
    }
}

void tc_match_clear(tc_match *m) {
    for (uint32_t i = 0; i < m->n; i++) {
        free(m->patterns[i].bytes);
        tc_regex_free(m->patterns[i].regex);
    }
    free(m->patterns);
    tc_match_forget(m);
    tc_match_init(m);
}

static uint8_t lower(uint8_t b) { return b >= 'A' && b <= 'Z' ? b | 32 : b; }

/* ---- globs ------------------------------------------------------------------------ */

/* The place behind the ] of the set that opens at p, NULL without one: a ] that
 * stands first is a member. */
static const uint8_t *set_end(const uint8_t *p, const uint8_t *end) {
    p++;
    if (p < end && *p == '!') p++;
    if (p < end && *p == ']') p++;
    while (p < end && *p != ']') p++;
    return p < end ? p + 1 : NULL;
}

static bool glob_is_sound(const uint8_t *pattern, uint32_t n, tc_regex_fault *fault) {
    const uint8_t *end = pattern + n;
    for (const uint8_t *p = pattern; p < end; p++) {
        if (*p != '[') continue;
        const uint8_t *after = set_end(p, end);
        *fault = (tc_regex_fault){(uint32_t)(p - pattern), "[ without ]; a plain one is written [[]"};
        if (after == NULL) return false;
        fault->reason = "a character beyond ASCII in [..] is not supported";
        for (const uint8_t *member = p + 1; member < after; member++)
            if (*member >= 0x80) return false;
        p = after - 1;
    }
    return true;
}

/* Whether the set from p to `after` has the byte. */
static bool set_has(const uint8_t *p, const uint8_t *after, uint8_t b) {
    bool negated = p[1] == '!', found = false;
    const uint8_t *end = after - 1;
    for (p += negated ? 2 : 1; p < end; p++) {
        uint8_t low = *p, high = low;
        if (end - p > 2 && p[1] == '-') {
            high = p[2];
            p += 2;
        }
        if (low <= b && b <= high) found = true;
    }
    return found != negated;
}

static uint32_t character_bytes(const uint8_t *p, const uint8_t *end) {
    uint32_t n = 1;
    if (*p >= 0xc0)
        while (p + n < end && (p[n] & 0xc0) == 0x80) n++;
    return n;
}

/* Goes back to the last * only: a longer run for an earlier one helps nobody.
 * Case that is to be ignored is folded by the caller in the pattern, here in the text. */
static bool glob_matches(const uint8_t *p, uint32_t n_pattern, const uint8_t *t, uint32_t n_text, bool fold) {
    const uint8_t *p_end = p + n_pattern, *t_end = t + n_text;
    const uint8_t *star = NULL, *star_text = NULL;
    for (;;) {
        bool fits = false;
        if (p < p_end && *p == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (t == t_end) {
            if (p == p_end) return true;
            return false; /* a longer run leaves even less text */
        }
        if (p < p_end) {
            uint8_t b = fold ? lower(*t) : *t;
            uint32_t n = character_bytes(t, t_end);
            if (*p == '?') {
                fits = true;
                p++;
                t += n;
            } else if (*p == '[') {
                const uint8_t *after = set_end(p, p_end);
                fits = n == 1 ? set_has(p, after, b) : p[1] == '!';
                if (fits) {
                    p = after;
                    t += n;
                }
            } else if (*p == b) {
                fits = true;
                p++;
                t++;
            }
        }
        if (fits) continue;
        if (star == NULL) return false;
        star_text += character_bytes(star_text, t_end);
        p = star;
        t = star_text;
    }
}

/* ---- sets of patterns ---------------------------------------------------------------- */

bool tc_match_add(tc_match *m, uint32_t bit, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                  tc_regex_fault *fault) {
    *fault = (tc_regex_fault){0, tc_status_text(TC_NO_MEMORY)};
    if (m->n == m->capacity) {
        uint32_t capacity = m->capacity == 0 ? 8 : m->capacity * 2;
        tc_pattern *patterns = realloc(m->patterns, capacity * sizeof *patterns);
        if (patterns == NULL) return false;
        m->patterns = patterns;
        m->capacity = capacity;
    }
    tc_pattern *p = &m->patterns[m->n];
    *p = (tc_pattern){.kind = kind, .length = n, .bits = 1ull << bit};
    if (kind == TC_GLOB && !glob_is_sound(pattern, n, fault)) return false;
    bool folds = (flags & TC_REGEX_IGNORE_CASE) != 0;
    if (kind == TC_REGEX) {
        p->regex = tc_regex_new(pattern, n, flags, fault);
        if (p->regex == NULL) return false;
        m->n++;
        return true;
    }
    p->bytes = malloc(n != 0 ? n : 1);
    if (p->bytes == NULL) {
        *fault = (tc_regex_fault){0, tc_status_text(TC_NO_MEMORY)};
        return false;
    }
    for (uint32_t i = 0; i < n; i++) p->bytes[i] = folds ? lower(pattern[i]) : pattern[i];
    p->folds = folds;
    m->n++;
    return true;
}

static bool is_equal(const tc_pattern *p, const uint8_t *bytes, uint32_t n) {
    if (p->length != n) return false;
    for (uint32_t i = 0; i < n; i++)
        if (p->bytes[i] != (p->folds ? lower(bytes[i]) : bytes[i])) return false;
    return true;
}

uint64_t tc_match_bytes(tc_match *m, const uint8_t *bytes, uint32_t n) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        const tc_pattern *p = &m->patterns[i];
        bool matches = false;
        switch (p->kind) {
        case TC_EXACT: matches = is_equal(p, bytes, n); break;
        case TC_GLOB: matches = glob_matches(p->bytes, p->length, bytes, n, p->folds); break;
        case TC_REGEX: matches = tc_regex_search(p->regex, bytes, n); break;
        }
        if (matches) bits |= p->bits;
    }
    return bits;
}

void tc_match_keep(tc_match *m, uint32_t id, uint64_t bits) {
    if (id >= TC_STRINGS_MAX) return;
    uint64_t **chunk = &m->known[id / TC_STRINGS_CHUNK];
    if (*chunk == NULL) *chunk = calloc(TC_STRINGS_CHUNK, sizeof **chunk);
    if (*chunk != NULL) (*chunk)[id % TC_STRINGS_CHUNK] = bits | TC_MATCH_KNOWN;
}

uint64_t tc_match_id_slowly(tc_match *m, const tc_strings *strings, uint32_t id) {
    tc_string s = tc_strings_view(strings, id);
    static const uint8_t nothing[1] = {0};
    uint64_t bits = tc_match_bytes(m, s.bytes != NULL ? s.bytes : nothing, s.length);
    tc_match_keep(m, id, bits);
    return bits;
}
