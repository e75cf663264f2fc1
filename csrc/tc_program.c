#include "tc_program.h"

#include <stdlib.h>

static void put_in_set(tc_byte_set *s, uint8_t b) { s->words[b >> 5] |= 1u << (b & 31); }
static void put_range(tc_byte_set *s, uint32_t from, uint32_t to) {
    for (uint32_t b = from; b <= to; b++) put_in_set(s, (uint8_t)b);
}

static bool is_letter(uint8_t b) { return ((b | 32) >= 'a') && ((b | 32) <= 'z'); }

/* ---- pattern to program --------------------------------------------------------- */

typedef struct parser {
    tc_program *program;
    const uint8_t *pattern;
    uint32_t n, at;
    uint32_t flags;
    uint32_t depth;
    tc_regex_fault *fault;
} parser;

static bool refuse(parser *p, uint32_t at, const char *reason) {
    p->fault->at = at;
    p->fault->reason = reason;
    return false;
}

static bool more(const parser *p) { return p->at < p->n; }
static uint8_t peek(const parser *p) { return p->pattern[p->at]; }
static bool next_is(const parser *p, const char *text) {
    size_t n = strlen(text);
    return p->n - p->at >= n && memcmp(p->pattern + p->at, text, n) == 0;
}
static bool accept(parser *p, const char *text) {
    if (!next_is(p, text)) return false;
    p->at += (uint32_t)strlen(text);
    return true;
}

static bool room(parser *p, uint64_t n) {
    if (p->program->n + n < TC_REGEX_MAX_STEPS) return true; /* one is left for MATCH */
    return refuse(p, p->at, "the pattern is too large");
}
static bool emit(parser *p, tc_step s) {
    if (!room(p, 1)) return false;
    p->program->steps[p->program->n++] = s;
    return true;
}
static bool insert(parser *p, uint32_t at, tc_step s) {
    if (!room(p, 1)) return false;
    tc_step *steps = p->program->steps;
    memmove(steps + at + 1, steps + at, (p->program->n - at) * sizeof *steps);
    steps[at] = s;
    p->program->n++;
    return true;
}
static bool emit_copy(parser *p, uint32_t from, uint32_t n) {
    if (!room(p, n)) return false;
    memcpy(p->program->steps + p->program->n, p->program->steps + from, n * sizeof(tc_step));
    p->program->n += n;
    return true;
}

static bool emit_set(parser *p, const tc_byte_set *set) {
    tc_program *r = p->program;
    uint32_t i = 0;
    while (i < r->n_sets && memcmp(&r->sets[i], set, sizeof *set) != 0) i++;
    if (i == r->n_sets) {
        if (i == TC_REGEX_MAX_SETS) return refuse(p, p->at, "the pattern has too many classes");
        r->sets[r->n_sets++] = *set;
    }
    return emit(p, (tc_step){.op = TC_OP_SET, .set = (uint16_t)i});
}

static bool emit_byte(parser *p, uint8_t b) {
    if ((p->flags & TC_REGEX_IGNORE_CASE) && is_letter(b)) {
        tc_byte_set both = {{0}};
        put_in_set(&both, b | 32);
        put_in_set(&both, (uint8_t)(b & ~32));
        return emit_set(p, &both);
    }
    return emit(p, (tc_step){.op = TC_OP_BYTE, .byte = b});
}

/* One character: ASCII of the set, or any beyond ASCII as its bytes of UTF-8. */
static bool emit_character(parser *p, const tc_byte_set *ascii) {
    static const uint8_t leads[3][2] = {{0xc2, 0xdf}, {0xe0, 0xef}, {0xf0, 0xf4}};
    tc_byte_set rest = {{0}};
    put_range(&rest, 0x80, 0xbf);
    uint32_t jumps[3];
    for (int i = 0; i < 4; i++) {
        uint32_t split = p->program->n;
        if (i < 3 && !emit(p, (tc_step){.op = TC_OP_SPLIT, .first = 1})) return false;
        if (i == 0) {
            if (!emit_set(p, ascii)) return false;
        } else {
            tc_byte_set lead = {{0}};
            put_range(&lead, leads[i - 1][0], leads[i - 1][1]);
            if (!emit_set(p, &lead)) return false;
            for (int k = 0; k < i; k++)
                if (!emit_set(p, &rest)) return false;
        }
        if (i == 3) break;
        jumps[i] = p->program->n;
        if (!emit(p, (tc_step){.op = TC_OP_JUMP})) return false;
        p->program->steps[split].second = (int16_t)(p->program->n - split);
    }
    for (int i = 0; i < 3; i++) p->program->steps[jumps[i]].first = (int16_t)(p->program->n - jumps[i]);
    return true;
}

static bool emit_assertion(parser *p, tc_assertion which) {
    static const uint8_t asked[] = {TC_AT_START, 0, TC_AT_START | TC_AFTER_LINE, 0, TC_AFTER_WORD, TC_AFTER_WORD};
    p->program->contexts |= asked[which];
    return emit(p, (tc_step){.op = TC_OP_ASSERT, .byte = (uint8_t)which});
}

/* The ASCII members of \d \w \s; false for any other letter. */
static bool class_of(uint8_t letter, tc_byte_set *set) {
    switch (letter | 32) {
    case 'd': put_range(set, '0', '9'); return true;
    case 'w':
        for (uint32_t b = 0; b < 128; b++)
            if (tc_is_word((uint8_t)b)) put_in_set(set, (uint8_t)b);
        return true;
    case 's':
        put_range(set, '\t', '\r');
        put_in_set(set, ' ');
        return true;
    default: return false;
    }
}

static void invert(tc_byte_set *ascii) {
    for (int i = 0; i < 4; i++) ascii->words[i] = ~ascii->words[i];
}

static int hexadecimal(uint8_t b) {
    if (b >= '0' && b <= '9') return b - '0';
    b |= 32;
    return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* The byte behind a backslash that stands for one ASCII character, or for a byte
 * of it below 0x80; p->at stands behind the backslash. */
static bool escaped_byte(parser *p, uint8_t *b) {
    uint32_t at = p->at - 1;
    uint8_t c = p->pattern[p->at++];
    switch (c) {
    case 't': *b = '\t'; return true;
    case 'n': *b = '\n'; return true;
    case 'r': *b = '\r'; return true;
    case 'f': *b = '\f'; return true;
    case 'v': *b = '\v'; return true;
    case 'a': *b = '\a'; return true;
    case 'x':
        if (p->n - p->at < 2 || hexadecimal(p->pattern[p->at]) < 0 || hexadecimal(p->pattern[p->at + 1]) < 0)
            return refuse(p, at, "\\x takes two hexadecimal digits");
        *b = (uint8_t)(hexadecimal(p->pattern[p->at]) << 4 | hexadecimal(p->pattern[p->at + 1]));
        p->at += 2;
        return *b < 0x80 || refuse(p, at, "\\x stands for ASCII only: write the character itself");
    case '0': *b = 0; return true;
    default:
        if (c >= '1' && c <= '9') return refuse(p, at, "references to groups are not supported");
        if (is_letter(c)) return refuse(p, at, "an escape that is not supported");
        if (c >= 0x80) return refuse(p, at, "a backslash before a character beyond ASCII");
        *b = c;
        return true;
    }
}

static bool parse_class(parser *p) { /* behind [ */
    uint32_t at = p->at - 1;
    tc_byte_set set = {{0}};
    bool negated = accept(p, "^"), is_first = true;
    for (;; is_first = false) {
        if (!more(p)) return refuse(p, at, "[ without ]");
        uint8_t low = p->pattern[p->at++];
        if (low == ']' && !is_first) break;
        if (low >= 0x80) return refuse(p, p->at - 1, "a character beyond ASCII in [..] is not supported");
        if (low == '\\') {
            if (!more(p)) return refuse(p, p->at - 1, "a backslash at the end");
            tc_byte_set class = {{0}};
            uint8_t c = peek(p);
            if (class_of(c, &class)) {
                if (c < 'a') { /* \D \W \S: what they hold beyond ASCII cannot be in a set of bytes */
                    return refuse(p, p->at - 1, "\\D, \\W and \\S inside [..] are not supported");
                }
                for (int i = 0; i < 8; i++) set.words[i] |= class.words[i];
                p->at++;
                continue;
            }
            if (c == 'b') {
                low = '\b';
                p->at++;
            } else if (!escaped_byte(p, &low)) {
                return false;
            }
        }
        uint8_t high = low;
        if (p->n - p->at >= 2 && peek(p) == '-' && p->pattern[p->at + 1] != ']') {
            uint32_t range_at = p->at++;
            high = p->pattern[p->at++];
            if (high >= 0x80) return refuse(p, p->at - 1, "a character beyond ASCII in [..] is not supported");
            if (high == '\\') {
                if (!more(p)) return refuse(p, p->at - 1, "a backslash at the end");
                if (!escaped_byte(p, &high)) return false;
            }
            if (high < low) return refuse(p, range_at, "a range that ends before it starts");
        }
        put_range(&set, low, high);
    }
    if (p->flags & TC_REGEX_IGNORE_CASE)
        for (uint32_t b = 'a'; b <= 'z'; b++)
            if (tc_byte_set_has(&set, (uint8_t)b) || tc_byte_set_has(&set, (uint8_t)(b & ~32u))) {
                put_in_set(&set, (uint8_t)b);
                put_in_set(&set, (uint8_t)(b & ~32u));
            }
    if (!negated) return emit_set(p, &set);
    invert(&set);
    return emit_character(p, &set);
}

static bool parse_alternatives(parser *p);

static bool parse_group(parser *p) { /* behind ( */
    uint32_t at = p->at - 1;
    if (accept(p, "?")) {
        if (accept(p, "P<")) {
            while (more(p) && peek(p) != '>') p->at++;
            if (!accept(p, ">")) return refuse(p, at, "(?P< without >");
        } else if (!accept(p, ":")) {
            return refuse(p, at, next_is(p, "=") || next_is(p, "!") || next_is(p, "<")
                                     ? "looking ahead or behind is not supported"
                                     : "this form of (?..) is not supported here");
        }
    }
    if (++p->depth > TC_REGEX_MAX_GROUPS) return refuse(p, at, "groups inside one another too deep");
    if (!parse_alternatives(p)) return false;
    p->depth--;
    return accept(p, ")") || refuse(p, at, "( without )");
}

static bool parse_escape(parser *p) { /* behind the backslash */
    if (!more(p)) return refuse(p, p->at - 1, "a backslash at the end");
    uint8_t c = peek(p);
    tc_byte_set class = {{0}};
    if (class_of(c, &class)) {
        p->at++;
        if (c >= 'a') return emit_set(p, &class);
        invert(&class);
        return emit_character(p, &class);
    }
    static const char letters[] = "AZbB";
    static const tc_assertion which[] = {TC_TEXT_START, TC_TEXT_END, TC_WORD_EDGE, TC_NO_WORD_EDGE};
    const char *found = c != 0 ? strchr(letters, c) : NULL;
    if (found != NULL) {
        p->at++;
        return emit_assertion(p, which[found - letters]);
    }
    return escaped_byte(p, &c) && emit_byte(p, c);
}

/* "$" of a text that ends in a newline stands before it: the newline is taken
 * into the match instead of looked at. */
static bool emit_dollar(parser *p) {
    if (p->flags & TC_REGEX_MULTILINE) return emit_assertion(p, TC_LINE_END);
    return emit(p, (tc_step){.op = TC_OP_SPLIT, .first = 2, .second = 1}) && emit(p, (tc_step){.op = TC_OP_BYTE, .byte = '\n'}) &&
           emit_assertion(p, TC_TEXT_END);
}

static bool parse_atom(parser *p, bool *repeats) {
    *repeats = true;
    uint8_t c = p->pattern[p->at++];
    tc_byte_set any = {{0}};
    switch (c) {
    case '(': return parse_group(p);
    case '[': return parse_class(p);
    case '\\': return parse_escape(p);
    case '.':
        if (!(p->flags & TC_REGEX_DOT_ALL)) put_in_set(&any, '\n');
        invert(&any);
        return emit_character(p, &any);
    case '^': *repeats = false; return emit_assertion(p, p->flags & TC_REGEX_MULTILINE ? TC_LINE_START : TC_TEXT_START);
    case '$': *repeats = false; return emit_dollar(p);
    case '*':
    case '+':
    case '?': return refuse(p, p->at - 1, "nothing to repeat");
    default:
        if (!emit_byte(p, c)) return false;
        if (c >= 0x80) /* the rest of the character: it repeats as a whole */
            while (more(p) && (peek(p) & 0xc0) == 0x80)
                if (!emit_byte(p, p->pattern[p->at++])) return false;
        return true;
    }
}

static bool parse_number(parser *p, uint32_t *number) {
    uint32_t at = p->at;
    *number = 0;
    while (more(p) && peek(p) >= '0' && peek(p) <= '9') {
        *number = *number * 10 + (uint32_t)(p->pattern[p->at++] - '0');
        if (*number > TC_REGEX_MAX_REPEAT) return refuse(p, at, "more than 1000 repeats");
    }
    return true;
}

/* {m}, {m,}, {,n}, {m,n}; anything else in braces is plain text, as in `re`. */
static bool is_count(const parser *p) {
    uint32_t i = p->at + 1, n_digits = 0, n_commas = 0;
    for (; i < p->n && p->pattern[i] != '}'; i++) {
        if (p->pattern[i] == ',') n_commas++;
        else if (p->pattern[i] >= '0' && p->pattern[i] <= '9') n_digits++;
        else return false;
    }
    return i < p->n && n_commas <= 1 && n_digits + n_commas != 0;
}

static tc_step fork_to(bool is_lazy, int32_t on, int32_t past) {
    return (tc_step){.op = TC_OP_SPLIT, .first = (int16_t)(is_lazy ? past : on), .second = (int16_t)(is_lazy ? on : past)};
}

#define UNBOUNDED UINT32_MAX

/* Turns the code from `start` on into `low` to `high` of it. */
static bool repeat(parser *p, uint32_t start, uint32_t low, uint32_t high, bool is_lazy) {
    uint32_t n = p->program->n - start;
    if (high == 0) {
        p->program->n = start;
        return true;
    }
    if (n == 0) return true;
    if (high == UNBOUNDED) {
        if (low == 0)
            return insert(p, start, fork_to(is_lazy, 1, (int32_t)n + 2)) &&
                   emit(p, (tc_step){.op = TC_OP_JUMP, .first = (int16_t)(-(int32_t)n - 1)});
        for (uint32_t i = 1; i < low; i++)
            if (!emit_copy(p, start, n)) return false;
        return emit(p, fork_to(is_lazy, -(int32_t)n, 1));
    }
    if (!room(p, (uint64_t)n * (high - 1) + high - low)) return false;
    for (uint32_t i = 1; i < low; i++)
        if (!emit_copy(p, start, n)) return false;
    uint32_t n_optional = high - low;
    if (n_optional == 0) return true;
    if (low == 0) {
        if (!insert(p, start, fork_to(is_lazy, 1, (int32_t)(n_optional * (n + 1))))) return false;
        start++;
        n_optional--;
    }
    for (; n_optional > 0; n_optional--) {
        if (!emit(p, fork_to(is_lazy, 1, (int32_t)(n_optional * (n + 1))))) return false;
        if (!emit_copy(p, start, n)) return false;
    }
    return true;
}

static bool parse_repeated(parser *p) {
    uint32_t start = p->program->n;
    bool may_repeat;
    if (!parse_atom(p, &may_repeat)) return false;
    for (uint32_t n_repeats = 0; more(p); n_repeats++) {
        uint32_t at = p->at, low, high;
        if (accept(p, "*")) low = 0, high = UNBOUNDED;
        else if (accept(p, "+")) low = 1, high = UNBOUNDED;
        else if (accept(p, "?")) low = 0, high = 1;
        else if (peek(p) == '{' && is_count(p)) {
            p->at++;
            if (!parse_number(p, &low)) return false;
            high = low;
            if (accept(p, ",")) {
                if (peek(p) == '}') high = UNBOUNDED;
                else if (!parse_number(p, &high)) return false;
            }
            p->at++;
            if (high < low) return refuse(p, at, "the smaller number of repeats comes first");
        } else {
            return true;
        }
        if (n_repeats != 0 || !may_repeat) return refuse(p, at, "a repeat of a repeat");
        if (next_is(p, "+")) return refuse(p, p->at, "repeats that give nothing back are not supported");
        if (!repeat(p, start, low, high, accept(p, "?"))) return false;
    }
    return true;
}

static bool parse_alternatives(parser *p) {
    uint32_t start = p->program->n, ends[64], n_ends = 0;
    for (;;) {
        while (more(p) && peek(p) != '|' && peek(p) != ')')
            if (!parse_repeated(p)) return false;
        if (!accept(p, "|")) break;
        if (n_ends == sizeof ends / sizeof *ends) return refuse(p, p->at, "more than 64 alternatives in one group");
        uint32_t n = p->program->n - start;
        if (!insert(p, start, (tc_step){.op = TC_OP_SPLIT, .first = 1, .second = (int16_t)(n + 2)})) return false;
        ends[n_ends++] = p->program->n;
        if (!emit(p, (tc_step){.op = TC_OP_JUMP})) return false;
        start = p->program->n;
    }
    for (uint32_t i = 0; i < n_ends; i++) p->program->steps[ends[i]].first = (int16_t)(p->program->n - ends[i]);
    return true;
}

static bool parse_flags(parser *p) {
    while (next_is(p, "(?") && p->n - p->at > 2 && strchr("aims", p->pattern[p->at + 2]) != NULL) {
        uint32_t at = p->at;
        p->at += 2;
        for (; more(p) && peek(p) != ')'; p->at++) {
            switch (peek(p)) {
            case 'a': break;
            case 'i': p->flags |= TC_REGEX_IGNORE_CASE; break;
            case 'm': p->flags |= TC_REGEX_MULTILINE; break;
            case 's': p->flags |= TC_REGEX_DOT_ALL; break;
            default: return refuse(p, at, "of the flags only a, i, m and s are supported, in front and for all");
            }
        }
        if (!accept(p, ")")) return refuse(p, at, "( without )");
    }
    return true;
}

bool tc_program_compile(tc_program *r, const uint8_t *pattern, uint32_t n, uint32_t flags, tc_regex_fault *fault) {
    *r = (tc_program){0};
    *fault = (tc_regex_fault){0, tc_status_text(TC_NO_MEMORY)};
    r->steps = malloc(TC_REGEX_MAX_STEPS * sizeof *r->steps);
    r->sets = malloc(TC_REGEX_MAX_SETS * sizeof *r->sets);
    parser p = {.program = r, .pattern = pattern, .n = n, .flags = flags, .fault = fault};
    if (r->steps == NULL || r->sets == NULL || !parse_flags(&p) || !parse_alternatives(&p)) goto failed;
    if (more(&p)) {
        refuse(&p, p.at, ") without (");
        goto failed;
    }
    r->steps[r->n++] = (tc_step){.op = TC_OP_MATCH};
    /* gives back what was not needed */
    tc_step *steps = realloc(r->steps, r->n * sizeof *steps);
    if (steps != NULL) r->steps = steps;
    tc_byte_set *sets = realloc(r->sets, (r->n_sets + 1) * sizeof *sets);
    if (sets != NULL) r->sets = sets;
    return true;
failed:
    tc_program_clear(r);
    return false;
}

void tc_program_clear(tc_program *r) {
    free(r->steps);
    free(r->sets);
    *r = (tc_program){0};
}
