/* tc_redact: attributes dropped, hashed, replaced, renamed or cut before anybody outside sees them.
 *
 * Rules stand in an order; each that matches is applied to what the ones before
 * it left, until one drops the attribute or says "keep". In a value that a rule hashed
 * or replaced as a whole no expression is searched any more.
 *
 *     attribute  --key-->  bits of rules (tc_match, once a key)  --0-->  copied as it is
 *                                     |
 *                          rule 0, rule 3, ...  -->  scratch  -->  draft  -->  tc_batch_replace
 *
 * A rule has a pattern for keys, or is for all; and it acts on the whole value, or
 * on what a regular expression finds in it:
 *
 *                whole value                         what the expression finds
 *     keep       no later rule applies               -
 *     drop       the attribute goes                  the attribute (or element) that holds it goes
 *     hash       32 hexadecimal digits of HMAC       the same for each find
 *     replace    a text                              a text for each find
 *     rename     another key                         -
 *     truncate   the first n characters              -
 *
 * Attributes of the span, of its events and links, baggage, and the entries of maps in them
 * (by their own key) are all looked at. Rules for all keys with an expression also
 * act on the names of span and events and on the status description; "drop" cuts
 * the find out there.
 *
 * An integer is read as its decimal digits, and becomes a text where they change.
 * Hashed is the UTF-8 of a text, the bytes of bytes, the decimal digits of an
 * integer, "true" or "false", the eight bytes of a double, little endian; of an
 * array or map each value by itself; null stays null.
 *
 * Two attributes that end up with one key: the later one stays, as in set_attribute.
 *
 * Fails closed: where memory is short, a record cannot be read, or the search in one value
 * takes too long, the span keeps its ids, times, kind and status code, loses its
 * attributes, events, links, description and name, and is counted.
 *
 * One thread at a time.
 */
#ifndef TC_REDACT_H
#define TC_REDACT_H

#include "tc_batch.h"
#include "tc_hmac.h"
#include "tc_match.h"
#include "tc_pb.h"
#include "tc_record.h"

typedef enum tc_redact_action {
    TC_REDACT_KEEP = 0,
    TC_REDACT_DROP = 1,
    TC_REDACT_HASH = 2,
    TC_REDACT_REPLACE = 3,
    TC_REDACT_RENAME = 4,
    TC_REDACT_TRUNCATE = 5,
} tc_redact_action;

#define TC_REDACT_HASH_DIGITS 32u /* 128 bits: RFC 2104 asks for half the hash at least */

typedef struct tc_redact_rule {
    tc_redact_action action;
    tc_regex *values; /* owned; NULL: the whole value */
    uint8_t *text;    /* owned; REPLACE: what stands there then; RENAME: the key */
    uint32_t n_text;
    uint32_t key_id;       /* RENAME: of `text`, 0: it has none */
    uint32_t n_characters; /* TRUNCATE */
    tc_hmac_key key;       /* HASH */
} tc_redact_rule;

typedef struct tc_redact {
    tc_redact_rule rules[TC_MATCH_MAX_BITS];
    uint32_t n;
    tc_match keys;     /* bit i: rule i */
    uint64_t all_keys; /* rules without a pattern for keys */
    uint64_t texts;    /* of these, those with an expression: for names and descriptions */
    bool names;        /* names and descriptions are looked at */
    tc_match known_names; /* by id: 1, one of `texts` finds something */

    tc_draft_pool pool;
    tc_bytes texts_made[2]; /* the value that is being changed, in turns */
    uint32_t turn;

    uint64_t n_spans;    /* that a rule changed, since the start */
    uint64_t n_stripped; /* spans that could not be redacted */
} tc_redact;

void tc_redact_init(tc_redact *redact);
void tc_redact_clear(tc_redact *redact);

/* Adds a rule; its number is `redact->n` before the call. For KEEP to TRUNCATE see
 * the fields of tc_redact_rule. Without `values` it acts on whole values.
 * False: the expression cannot be used (`fault`), there is no memory, or TC_MATCH_MAX_BITS rules exist. */
bool tc_redact_add(tc_redact *redact, tc_redact_action action, const uint8_t *values, uint32_t n_values, uint32_t flags,
                   const uint8_t *text, uint32_t n_text, tc_regex_fault *fault);
/* The rule that was added last also applies to keys that match; without any call, to all keys. */
bool tc_redact_add_keys(tc_redact *redact, tc_pattern_kind kind, const uint8_t *pattern, uint32_t n, uint32_t flags,
                        tc_regex_fault *fault);

/* Every record of the batch, in place. Cannot fail: see above. */
void tc_redact_batch(tc_redact *redact, tc_batch *batch, const tc_strings *strings);

/* The attributes in `items` (keyed items only, for resources and scopes), as a new draft that the caller
 * gives back to `redact->pool`; NULL: memory is short or the items cannot be read. */
tc_draft *tc_redact_items(tc_redact *redact, const uint8_t *items, uint32_t n_bytes, const tc_strings *strings);

#endif
