#include "tc_strings.h"

#include <stdbool.h>
#include <stdlib.h>

/* Arenas are chained so that all of them can be freed: the first word of each
 * is the pointer to the one before. */
#define ARENA_BYTES (64u << 10)
#define ARENA_HEADER sizeof(uint8_t *)

tc_strings *tc_strings_new(uint32_t max_length) {
    tc_strings *k = calloc(1, sizeof *k);
    if (k == NULL) return NULL;
    k->n_slots = 1024;
    k->slots = calloc(k->n_slots, sizeof *k->slots);
    if (k->slots == NULL) {
        free(k);
        return NULL;
    }
    atomic_init(&k->n, 1);
    k->max_length = max_length;
    return k;
}

void tc_strings_free(tc_strings *k) {
    if (k == NULL) return;
    for (uint8_t *arena = k->arena; arena != NULL;) {
        uint8_t *previous;
        memcpy(&previous, arena, sizeof previous);
        free(arena);
        arena = previous;
    }
    for (size_t i = 0; i < TC_STRINGS_MAX / TC_STRINGS_CHUNK; i++)
        free(atomic_load_explicit(&k->chunks[i], memory_order_relaxed));
    free(k->slots);
    free(k);
}

static uint32_t hash_bytes(const uint8_t *p, uint32_t n) { /* FNV-1a: most are short */
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < n; i++) h = (h ^ p[i]) * 16777619u;
    return h;
}

static tc_string *entry(const tc_strings *k, uint32_t id) {
    tc_string *chunk = atomic_load_explicit(&((tc_strings *)k)->chunks[id / TC_STRINGS_CHUNK],
                                         memory_order_acquire); /* pairs with publish() */
    return chunk == NULL ? NULL : &chunk[id % TC_STRINGS_CHUNK];
}

static uint32_t next_id(const tc_strings *k) {
    return atomic_load_explicit(&((tc_strings *)k)->n, memory_order_relaxed);
}

static bool grow_slots(tc_strings *k) {
    uint32_t n_slots = k->n_slots * 2;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t id = 1, end = next_id(k); id < end; id++) {
        uint32_t i = entry(k, id)->hash & (n_slots - 1);
        while (slots[i] != 0) i = (i + 1) & (n_slots - 1);
        slots[i] = id;
    }
    free(k->slots);
    k->slots = slots;
    k->n_slots = n_slots;
    return true;
}

/* Copies the bytes into an arena; NULL when memory is short. */
static const uint8_t *keep(tc_strings *k, const uint8_t *bytes, uint32_t length) {
    if (k->arena == NULL || length > k->arena_bytes - k->arena_used) {
        uint32_t n = length > ARENA_BYTES - ARENA_HEADER ? length + (uint32_t)ARENA_HEADER : ARENA_BYTES;
        uint8_t *arena = malloc(n);
        if (arena == NULL) return NULL;
        memcpy(arena, &k->arena, ARENA_HEADER);
        k->arena = arena;
        k->arena_bytes = n;
        k->arena_used = ARENA_HEADER;
    }
    uint8_t *at = k->arena + k->arena_used;
    memcpy(at, bytes, length);
    k->arena_used += length;
    return at;
}

static uint32_t publish(tc_strings *k, const uint8_t *bytes, uint32_t length, uint32_t hash) {
    uint32_t id = next_id(k);
    if (entry(k, id) == NULL) {
        tc_string *chunk = calloc(TC_STRINGS_CHUNK, sizeof *chunk);
        if (chunk == NULL) return 0;
        /* release: pairs with the acquire in entry() */
        atomic_store_explicit(&k->chunks[id / TC_STRINGS_CHUNK], chunk, memory_order_release);
    }
    const uint8_t *kept = keep(k, bytes, length);
    if (kept == NULL) return 0;
    /* Readers reach this entry only through a record committed after it, so the
     * ring's release/acquire pair orders these plain stores. */
    *entry(k, id) = (tc_string){kept, length, hash};
    k->n_bytes += length;
    atomic_store_explicit(&k->n, id + 1, memory_order_relaxed);
    return id;
}

uint32_t tc_strings_intern(tc_strings *k, const uint8_t *bytes, uint32_t length, uint32_t limit) {
    if (length > k->max_length) return 0;
    uint32_t hash = hash_bytes(bytes, length);
    uint32_t i = hash & (k->n_slots - 1);
    for (; k->slots[i] != 0; i = (i + 1) & (k->n_slots - 1)) {
        const tc_string *e = entry(k, k->slots[i]);
        if (e->hash == hash && e->length == length && memcmp(e->bytes, bytes, length) == 0)
            return k->slots[i];
    }
    uint32_t n = next_id(k);
    if (n >= TC_STRINGS_MAX || n > limit || k->n_bytes + length > TC_STRINGS_MAX_BYTES) return 0;
    if (n * 2 > k->n_slots) {
        if (!grow_slots(k)) return 0;
        i = hash & (k->n_slots - 1);
        while (k->slots[i] != 0) i = (i + 1) & (k->n_slots - 1);
    }
    uint32_t id = publish(k, bytes, length, hash);
    if (id != 0) k->slots[i] = id;
    return id;
}

tc_string tc_strings_view(const tc_strings *k, uint32_t id) {
    if (id != 0 && id < TC_STRINGS_MAX) {
        const tc_string *e = entry(k, id);
        if (e != NULL && e->bytes != NULL) return *e;
    }
    return (tc_string){NULL, 0, 0};
}
