/* tc_ids: trace and span ids.
 *
 * One xoshiro256** generator a thread (Blackman and Vigna, "Scrambled Linear
 * Pseudorandom Number Generators", 2018), seeded from the operating system when
 * the thread makes its first id. Ids must differ, not be secret, so a fast
 * generator with a 2^256 - 1 period is enough.
 *
 * fork: a pthread_atfork handler raises the generation in the child; a
 * generator that finds itself of an older generation reseeds. No lock, no GIL,
 * and it also holds for a fork made by C code behind Python's back.
 *
 * This is the one unit with state of its own: link it into exactly one module.
 */
#ifndef TC_IDS_H
#define TC_IDS_H

#include "tc_base.h"

#define TC_TRACE_ID_BYTES 16
#define TC_SPAN_ID_BYTES 8

/* Registers the fork handler, once a process. TC_NO_MEMORY if the C library
 * refuses. Call before the first id. */
tc_status tc_ids_init(void);

/* Writes a new id, most significant byte first, never all zero. Any thread. */
void tc_ids_trace(uint8_t out[TC_TRACE_ID_BYTES]);
void tc_ids_span(uint8_t out[TC_SPAN_ID_BYTES]);

/* How many forks lie between this process and the one that called tc_ids_init. */
uint32_t tc_ids_generation(void);
/* Where that number stands, for who asks at every span. It changes only while a
 * child has a single thread, so a plain load reads it. */
const uint32_t *tc_ids_generation_view(void);

#endif
