/* tc_program: a regular expression as the steps that a matcher takes.
 *
 *     "a(b|[0-9])*"   ->   0 byte a
 *                          1 split 2, 7      which way is tried first comes first
 *                          2 split 3, 5
 *                          3 byte b
 *                          4 jump 6
 *                          5 set 0-9
 *                          6 jump 1
 *                          7 match
 *
 * Dialect: Python's `re` without what needs to look back or ahead:
 *
 *     a  \.  \t \n \r \f \v \xHH      .  [a-z]  [^a-z]  \d \w \s \D \W \S
 *     ab  a|b  (a)  (?:a)  (?P<x>a)   a*  a+  a?  a{2}  a{2,}  a{2,5}  and each with ? behind: as short as may be
 *     ^  $  \A  \Z  \b  \B            (?i) (?s) (?m) (?a) in front: ignore case, dot is any, ^ and $ at lines
 *
 * Classes and case are ASCII's, as with re.ASCII. "." and [^..] take a whole
 * character of UTF-8. "$" takes a newline that ends the text into the match.
 * Refused, with the place and the reason: \1 (?P=x) (?=a) (?!a) (?<=a) (?<!a)
 * (?>a) (?(1)a) (?i:a) a*+, and non-ASCII characters in [..].
 *
 * Source: Thompson, "Regular Expression Search Algorithm", 1968; the documentation of `re`.
 */
#ifndef TC_PROGRAM_H
#define TC_PROGRAM_H

#include "tc_base.h"

#include <stdbool.h>

#define TC_REGEX_IGNORE_CASE 1u
#define TC_REGEX_DOT_ALL 2u
#define TC_REGEX_MULTILINE 4u

#define TC_REGEX_MAX_STEPS 4096u  /* of a program: what one byte of a text can cost */
#define TC_REGEX_MAX_SETS 1024u
#define TC_REGEX_MAX_REPEAT 1000u /* in {..} */
#define TC_REGEX_MAX_GROUPS 100u  /* inside one another: the parser calls itself */

typedef struct tc_regex_fault {
    uint32_t at;        /* byte of the pattern */
    const char *reason; /* English words */
} tc_regex_fault;

typedef enum tc_op {
    TC_OP_BYTE,
    TC_OP_SET,
    TC_OP_SPLIT,
    TC_OP_JUMP,
    TC_OP_ASSERT,
    TC_OP_MATCH,
} tc_op;

typedef enum tc_assertion {
    TC_TEXT_START,
    TC_TEXT_END,
    TC_LINE_START,
    TC_LINE_END,
    TC_WORD_EDGE,
    TC_NO_WORD_EDGE,
} tc_assertion;

/* What the byte before a place says about it. */
enum tc_regex_context { TC_AT_START = 1, TC_AFTER_WORD = 2, TC_AFTER_LINE = 4 };

/* Jumps are relative, so that code can be moved and copied. */
typedef struct tc_step {
    uint8_t op;     /* tc_op */
    uint8_t byte;   /* TC_OP_BYTE: it; TC_OP_ASSERT: a tc_assertion */
    uint16_t set;   /* TC_OP_SET: which */
    int16_t first;  /* TC_OP_SPLIT: the way that is preferred; TC_OP_JUMP */
    int16_t second; /* TC_OP_SPLIT: the other */
} tc_step;

typedef struct tc_byte_set {
    uint32_t words[8];
} tc_byte_set;

typedef struct tc_program {
    tc_step *steps; /* owned; the last is TC_OP_MATCH */
    uint32_t n;
    tc_byte_set *sets; /* owned */
    uint32_t n_sets;
    uint8_t contexts; /* those that an assertion asks for */
} tc_program;

/* False: the pattern cannot be used, `fault` says why, and there is nothing to clear. */
bool tc_program_compile(tc_program *program, const uint8_t *pattern, uint32_t n, uint32_t flags, tc_regex_fault *fault);
void tc_program_clear(tc_program *program);

static inline bool tc_byte_set_has(const tc_byte_set *s, uint8_t b) { return s->words[b >> 5] >> (b & 31) & 1; }

static inline bool tc_is_word(uint8_t b) {
    return (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_';
}

#endif
