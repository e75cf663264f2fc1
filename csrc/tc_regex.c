#include "tc_regex.h"

#include <stdlib.h>

#define END 256u       /* the "byte" behind the last */
#define N_SYMBOLS 257u
#define UNKNOWN 0u     /* a transition not met yet */
#define MATCHED 1u
#define FIRST_STATE 2u

#define STATES_BYTES (256u << 10) /* for the states of one regex; when they are full all are forgotten */
#define MIN_STATES 8u

typedef struct state {
    uint16_t next[N_SYMBOLS]; /* UNKNOWN, MATCHED, or a state's number + FIRST_STATE */
    uint32_t hash;
    uint8_t context;
    uint16_t n;
    uint16_t pcs[]; /* where the program may be, ascending */
} state;

typedef struct thread {
    uint16_t pc;
    uint32_t start;
} thread;

struct tc_regex {
    tc_program program;
    uint32_t n; /* its steps */
    uint8_t *states; /* n_max states of state_bytes each */
    size_t state_bytes;
    uint32_t n_states, n_max;

    /* scratch, n of each */
    uint32_t *mark;
    uint32_t generation;
    uint16_t *stack;
    uint16_t *pcs;
    thread *threads, *next_threads;
};

static bool allocate(tc_regex *r) {
    r->state_bytes = (sizeof(state) + r->n * sizeof(uint16_t) + 7) & ~(size_t)7;
    r->n_max = (uint32_t)(STATES_BYTES / r->state_bytes);
    if (r->n_max < MIN_STATES) r->n_max = MIN_STATES;
    r->states = malloc(r->n_max * r->state_bytes);
    r->mark = calloc(r->n, sizeof *r->mark);
    r->stack = malloc((2 * (size_t)r->n + 2) * sizeof *r->stack); /* a split leaves two */
    r->pcs = malloc(r->n * sizeof *r->pcs);
    r->threads = malloc(r->n * sizeof *r->threads);
    r->next_threads = malloc(r->n * sizeof *r->next_threads);
    return r->states != NULL && r->mark != NULL && r->stack != NULL && r->pcs != NULL && r->threads != NULL &&
           r->next_threads != NULL;
}

tc_regex *tc_regex_new(const uint8_t *pattern, uint32_t n, uint32_t flags, tc_regex_fault *fault) {
    tc_program program;
    if (!tc_program_compile(&program, pattern, n, flags, fault)) return NULL;
    tc_regex *r = calloc(1, sizeof *r);
    if (r == NULL) {
        tc_program_clear(&program);
    } else {
        r->program = program;
        r->n = program.n;
        if (allocate(r)) return r;
    }
    *fault = (tc_regex_fault){0, tc_status_text(TC_NO_MEMORY)};
    tc_regex_free(r);
    return NULL;
}

void tc_regex_free(tc_regex *r) {
    if (r == NULL) return;
    tc_program_clear(&r->program);
    free(r->states);
    free(r->mark);
    free(r->stack);
    free(r->pcs);
    free(r->threads);
    free(r->next_threads);
    free(r);
}

/* ---- both ways of matching -------------------------------------------------------- */

static bool holds(tc_assertion which, uint8_t context, uint32_t symbol) {
    bool before = (context & TC_AFTER_WORD) != 0, after = symbol != END && tc_is_word((uint8_t)symbol);
    switch (which) {
    case TC_TEXT_START: return (context & TC_AT_START) != 0;
    case TC_TEXT_END: return symbol == END;
    case TC_LINE_START: return (context & (TC_AT_START | TC_AFTER_LINE)) != 0;
    case TC_LINE_END: return symbol == END || symbol == '\n';
    case TC_WORD_EDGE: return before != after;
    case TC_NO_WORD_EDGE: return before == after;
    }
    return false;
}

static uint8_t context_after(uint8_t b) { return (uint8_t)((tc_is_word(b) ? TC_AFTER_WORD : 0) | (b == '\n' ? TC_AFTER_LINE : 0)); }

static bool takes(const tc_regex *r, const tc_step *s, uint8_t b) {
    return s->op == TC_OP_BYTE ? s->byte == b : s->op == TC_OP_SET && tc_byte_set_has(&r->program.sets[s->set], b);
}

/* Whether a match may start before this symbol: not in the middle of a character. */
static bool may_start(uint32_t symbol) { return symbol == END || (symbol & 0xc0) != 0x80; }

static void new_generation(tc_regex *r) {
    if (++r->generation != 0) return;
    memset(r->mark, 0, r->n * sizeof *r->mark);
    r->generation = 1;
}

/* Where the program can be from pc on without taking a byte, most preferred
 * first, left out what this generation has met: BYTE, SET and MATCH steps. */
static uint32_t follow(tc_regex *r, uint16_t pc, uint8_t context, uint32_t symbol, uint16_t *out) {
    uint32_t n = 0, n_stack = 0;
    r->stack[n_stack++] = pc;
    while (n_stack != 0) {
        pc = r->stack[--n_stack];
        if (r->mark[pc] == r->generation) continue;
        r->mark[pc] = r->generation;
        const tc_step *s = &r->program.steps[pc];
        switch ((tc_op)s->op) {
        case TC_OP_JUMP: r->stack[n_stack++] = (uint16_t)(pc + s->first); break;
        case TC_OP_SPLIT:
            r->stack[n_stack++] = (uint16_t)(pc + s->second);
            r->stack[n_stack++] = (uint16_t)(pc + s->first);
            break;
        case TC_OP_ASSERT:
            if (holds((tc_assertion)s->byte, context, symbol)) r->stack[n_stack++] = (uint16_t)(pc + 1);
            break;
        default: out[n++] = pc; break;
        }
    }
    return n;
}

/* ---- search ------------------------------------------------------------------------- */

static state *state_at(const tc_regex *r, uint32_t i) { return (state *)(void *)(r->states + i * r->state_bytes); }

/* The number of the state whose places are those marked by this generation, which
 * is made if need be. In the order of the program, so that each set is one state. */
static uint32_t state_of_marked(tc_regex *r, uint8_t context) {
    uint32_t n = 0, hash = context;
    for (uint32_t pc = 0; pc < r->n; pc++)
        if (r->mark[pc] == r->generation) {
            r->pcs[n++] = (uint16_t)pc;
            hash = (hash ^ pc) * 16777619u;
        }
    for (uint32_t i = 0; i < r->n_states; i++) {
        const state *s = state_at(r, i);
        if (s->hash == hash && s->n == n && s->context == context && memcmp(s->pcs, r->pcs, n * sizeof *s->pcs) == 0)
            return i;
    }
    if (r->n_states == r->n_max) { /* forgets all but the first: what is needed is made again */
        r->n_states = 1;
        memset(state_at(r, 0)->next, 0, N_SYMBOLS * sizeof(uint16_t));
    }
    state *s = state_at(r, r->n_states);
    memset(s->next, 0, sizeof s->next);
    s->hash = hash;
    s->context = context;
    s->n = (uint16_t)n;
    memcpy(s->pcs, r->pcs, n * sizeof *s->pcs);
    return r->n_states++;
}

/* The transition of state i on a symbol, worked out: MATCHED, or a state's number + FIRST_STATE. */
static uint32_t advance(tc_regex *r, uint32_t i, uint32_t symbol) {
    const state *s = state_at(r, i);
    uint32_t n = 0;
    new_generation(r);
    for (uint32_t k = 0; k < s->n; k++) n += follow(r, s->pcs[k], s->context, symbol, r->pcs + n);
    if (may_start(symbol)) n += follow(r, 0, s->context, symbol, r->pcs + n);
    new_generation(r);
    for (uint32_t k = 0; k < n; k++) {
        uint16_t pc = r->pcs[k];
        if (r->program.steps[pc].op == TC_OP_MATCH) return MATCHED;
        if (symbol != END && takes(r, &r->program.steps[pc], (uint8_t)symbol)) r->mark[pc + 1] = r->generation;
    }
    uint8_t context = symbol == END ? 0 : context_after((uint8_t)symbol) & r->program.contexts;
    return state_of_marked(r, context) + FIRST_STATE;
}

bool tc_regex_search(tc_regex *r, const uint8_t *text, uint32_t n) {
    uint32_t i = 0;
    if (r->n_states == 0) {
        new_generation(r);
        state_of_marked(r, TC_AT_START & r->program.contexts);
    }
    for (uint32_t at = 0; at <= n; at++) {
        uint32_t symbol = at < n ? text[at] : END;
        uint32_t next = state_at(r, i)->next[symbol];
        if (TC_UNLIKELY(next == UNKNOWN)) {
            uint32_t n_before = r->n_states;
            next = advance(r, i, symbol);
            if (r->n_states >= n_before) state_at(r, i)->next[symbol] = (uint16_t)next; /* else i is forgotten */
        }
        if (next == MATCHED) return true;
        i = next - FIRST_STATE;
    }
    return false;
}

/* ---- find ----------------------------------------------------------------------------- */

static uint32_t add_thread(tc_regex *r, thread *list, uint32_t n, uint16_t pc, uint32_t start, uint8_t context,
                           uint32_t symbol) {
    uint32_t n_here = follow(r, pc, context, symbol, r->pcs);
    for (uint32_t i = 0; i < n_here; i++) list[n++] = (thread){r->pcs[i], start};
    return n;
}

bool tc_regex_find(tc_regex *r, const uint8_t *text, uint32_t n, uint32_t from, uint32_t *start, uint32_t *end,
                   uint64_t *n_read) {
    thread *now = r->threads, *later = r->next_threads;
    uint32_t n_now = 0;
    bool found = false;
    new_generation(r);
    for (uint32_t at = from; at <= n; at++) {
        uint8_t context = at == 0 ? TC_AT_START : context_after(text[at - 1]);
        uint32_t symbol = at < n ? text[at] : END;
        if (!found && may_start(symbol)) n_now = add_thread(r, now, n_now, 0, at, context, symbol);
        if (n_now == 0 && found) break;
        ++*n_read;
        uint32_t n_later = 0;
        uint8_t context_then = symbol != END ? context_after((uint8_t)symbol) : 0;
        uint32_t symbol_then = at + 1 < n ? text[at + 1] : END;
        new_generation(r);
        for (uint32_t i = 0; i < n_now; i++) {
            const tc_step *s = &r->program.steps[now[i].pc];
            if (s->op == TC_OP_MATCH) { /* what is less preferred goes */
                found = true;
                *start = now[i].start;
                *end = at;
                break;
            }
            if (symbol != END && takes(r, s, (uint8_t)symbol))
                n_later = add_thread(r, later, n_later, (uint16_t)(now[i].pc + 1), now[i].start, context_then, symbol_then);
        }
        thread *swap = now;
        now = later;
        later = swap;
        n_now = n_later;
    }
    return found;
}
