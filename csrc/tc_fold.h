/* tc_fold: many equal siblings become one span that says how many they were.
 *
 *     batch --> a leaf with a parent?  --no--> stays
 *                      | yes
 *                      v
 *     parent --+-- group (name, kind, status, scope, chosen attributes): up to `threshold` spans as they are,
 *              |        beyond that one: the first, with what all have in common, and count, total, min, max
 *              +-- group ...
 *
 *     the parent's record comes, `hold_ns` pass, or finish:  the groups leave into the batch
 *
 * A span is folded when it has a parent in this process, no child that was seen, no events, no
 * links, no status description, a status other than ERROR, and is sampled. The one
 * that stands for the others has the ids of the first, the earliest start and the
 * latest end, the attributes that all of them had with the same value, and four more
 * (tc_fold_names), in nanoseconds.
 *
 * Children are known because they end, as a rule, before their parent: each
 * record that names a parent marks that parent, in a table of `max_parents` from
 * which the oldest goes first, and after `hold_ns`. A child that ends after its parent,
 * or whose parent was forgotten, may lose it to a fold.
 *
 * Bounded: beyond max_groups or max_bytes of held records, and where memory is short,
 * spans pass as they are and are counted in n_passed.
 *
 * One thread at a time.
 */
#ifndef TC_FOLD_H
#define TC_FOLD_H

#include "tc_batch.h"
#include "tc_match.h"
#include "tc_record.h"

#define TC_FOLD_MAX_RECORD_BYTES (16u << 10) /* what is longer is no repetition of anything */

/* Attributes of a span that stands for others. */
#define TC_FOLD_COUNT "tracecore.fold.count"
#define TC_FOLD_TOTAL_NS "tracecore.fold.total_ns"
#define TC_FOLD_MIN_NS "tracecore.fold.min_ns"
#define TC_FOLD_MAX_NS "tracecore.fold.max_ns"

/* The ids of these keys, 0 where one has none. */
typedef struct tc_fold_names {
    uint32_t count, total_ns, min_ns, max_ns;
} tc_fold_names;

typedef struct tc_fold_held tc_fold_held;
typedef struct tc_fold_group tc_fold_group;
typedef struct tc_fold_parent tc_fold_parent;

typedef struct tc_fold {
    uint32_t threshold; /* spans of a group that stay as they are */
    uint64_t hold_ns, max_bytes;
    uint32_t max_groups, max_parents;
    tc_fold_names names;
    tc_match keys;         /* bit 0: attributes that must be equal within a group */
    bool by_all_attributes; /* all of them must be */

    tc_fold_group *groups; /* max_groups */
    uint32_t *group_buckets, first_free_group, n_groups;
    tc_fold_parent *parents; /* max_parents */
    uint32_t *parent_buckets, first_free_parent, oldest, newest, n_parents;
    uint32_t n_buckets[2]; /* of groups, of parents: powers of two */
    tc_draft_pool pool;

    uint64_t n_bytes;  /* of held records */
    uint64_t n_held;   /* spans that will come out if nothing more comes in */
    uint64_t n_folded; /* spans that others stand for, since the start */
    uint64_t n_passed; /* spans that there was no room to hold */
} tc_fold;

/* Fields up to `by_all_attributes` are the caller's to set (tc_fold_clear clears
 * `keys`); then: TC_NO_MEMORY or TC_OK. */
tc_status tc_fold_open(tc_fold *fold);
void tc_fold_clear(tc_fold *fold); /* what is held is gone */

/* Takes what may be folded out of the batch and puts in what is due at now_ns, a
 * monotonic time. Settles the batch. */
void tc_fold_batch(tc_fold *fold, tc_batch *batch, const tc_strings *strings, uint64_t now_ns);
/* Puts what is due into the batch; UINT64_MAX: everything. TC_NO_MEMORY: the rest is still held. */
tc_status tc_fold_release(tc_fold *fold, tc_batch *batch, uint64_t now_ns);

#endif
