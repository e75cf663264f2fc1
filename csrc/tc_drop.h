/* tc_drop: spans that nobody wants, taken out of a batch by rules.
 *
 *     a rule = name and scope and kind and status and duration and attributes, each of them optional
 *     a span goes when one rule holds for it
 *
 * Names and scopes are matched once each and remembered by their id, so a span
 * that no rule is about costs two loads. Attributes are looked at only for spans
 * of which a rule holds in everything else.
 *
 *     name  -> bits of rules  \
 *     scope -> bits of rules   >  and  -> 0: the span stays
 *     kind, status, duration  /          else its attributes decide
 *
 * Children of a span that goes stay, and name a parent that the receiver never
 * gets: they ended before it, and may be gone already. Rules are for leaves.
 *
 * One thread at a time.
 */
#ifndef TC_DROP_H
#define TC_DROP_H

#include "tc_batch.h"
#include "tc_match.h"
#include "tc_record.h"

typedef struct tc_drop_rule {
    uint8_t kinds;        /* bit n: SpanKind n; all of them where the rule does not say */
    uint8_t statuses;     /* bit n: status n */
    uint64_t under_ns;    /* shorter than this; UINT64_MAX: however long */
    uint64_t conditions;  /* bits of the conditions on attributes that must be met */
} tc_drop_rule;

typedef struct tc_drop {
    tc_drop_rule rules[TC_MATCH_MAX_BITS];
    uint32_t n;
    tc_match names, scopes; /* bit i: rule i */
    uint64_t all_names, all_scopes; /* rules that do not ask */

    tc_match keys, values; /* bit c: condition c */
    uint64_t all_values;   /* conditions that ask for the key only */
    uint32_t n_conditions;
} tc_drop;

void tc_drop_init(tc_drop *drop);
void tc_drop_clear(tc_drop *drop);

/* Adds a rule for every span; what follows narrows the rule that was added last.
 * False: TC_MATCH_MAX_BITS rules or conditions exist, or the pattern cannot be used. */
bool tc_drop_add(tc_drop *drop, uint8_t kinds, uint8_t statuses, uint64_t under_ns, tc_regex_fault *fault);
bool tc_drop_add_name(tc_drop *drop, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                      tc_regex_fault *fault);
bool tc_drop_add_scope(tc_drop *drop, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                       tc_regex_fault *fault);
/* An attribute with a key that matches, and (unless `value` is NULL) a value that does: the text, the
 * decimal digits of an integer, "true" or "false". */
bool tc_drop_add_attribute(tc_drop *drop, tc_pattern_kind key_kind, const uint8_t *key, uint32_t n_key, uint32_t key_flags,
                           tc_pattern_kind value_kind, const uint8_t *value, uint32_t n_value, uint32_t value_flags,
                           tc_regex_fault *fault);

/* Takes out the records of which a rule holds; returns how many. `scopes` are the
 * fields of ScopeSpans by id, as in tc_otlp_names: always those of one table. */
uint32_t tc_drop_batch(tc_drop *drop, tc_batch *batch, const tc_strings *strings, const tc_strings *scopes);

#endif
