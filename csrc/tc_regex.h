/* tc_regex: regular expressions over bytes, in time that no pattern can blow up.
 *
 *     pattern -> program (bytes, sets, splits, assertions) -> search: a table of states, made as they are met
 *                                                          -> find:   all ways in step, for where a match stands
 *
 * Both read a text once: n bytes cost n times the size of the program at worst
 * (a backtracking matcher can take 2^n), and no memory is asked for after
 * tc_regex_new. That is why libc's regexec is not used: it backtracks where a
 * pattern refers to its groups, allocates while it matches, and asks the locale.
 *
 * The dialect is tc_program's. A tc_regex keeps its states: one thread at a time.
 *
 * Source: R. Cox, "Regular Expression Matching: the Virtual Machine Approach"
 * and "in the Wild".
 */
#ifndef TC_REGEX_H
#define TC_REGEX_H

#include "tc_program.h"

typedef struct tc_regex tc_regex;

/* NULL: the pattern cannot be used, `fault` says why. */
tc_regex *tc_regex_new(const uint8_t *pattern, uint32_t n, uint32_t flags, tc_regex_fault *fault);
void tc_regex_free(tc_regex *regex);

/* Whether the pattern matches anywhere in the text. */
bool tc_regex_search(tc_regex *regex, const uint8_t *text, uint32_t n);

/* The leftmost match that starts at `from` or later, of several the one that
 * `re` would take. `n_read` rises by the bytes that were looked at: to find where a
 * match ends may take reading to the end of the text, so all matches of one text
 * can cost its square, and the caller may want to give up before. */
bool tc_regex_find(tc_regex *regex, const uint8_t *text, uint32_t n, uint32_t from, uint32_t *start, uint32_t *end,
                   uint64_t *n_read);

#endif
