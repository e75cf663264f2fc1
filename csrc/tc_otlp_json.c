#include "tc_otlp_json.h"

/* ---- opentelemetry-proto, as far as traces go ---------------------------------- */

typedef enum message {
    REQUEST, RESOURCE_SPANS, RESOURCE, SCOPE_SPANS, SCOPE, SPAN, EVENT, LINK, STATUS, KEY_VALUE, ANY_VALUE, ARRAY,
    KEY_VALUES, N_MESSAGES,
} message;

typedef enum form {
    ABSENT, /* no such field */
    TEXT, HEX, BASE64, MESSAGE,  /* length-delimited */
    FIXED64_TEXT,                /* fixed64 */
    REAL,                        /* double */
    FIXED32_NUMBER,              /* fixed32 */
    VARINT_TEXT,                 /* int64 */
    VARINT_NUMBER, TRUTH,        /* uint32 and enums; bool */
} form;

static const enum tc_pb_wire wire_of[] = {
    [TEXT] = TC_PB_LENGTH, [HEX] = TC_PB_LENGTH, [BASE64] = TC_PB_LENGTH, [MESSAGE] = TC_PB_LENGTH,
    [FIXED64_TEXT] = TC_PB_FIXED64, [REAL] = TC_PB_FIXED64, [FIXED32_NUMBER] = TC_PB_FIXED32,
    [VARINT_TEXT] = TC_PB_VARINT, [VARINT_NUMBER] = TC_PB_VARINT, [TRUTH] = TC_PB_VARINT,
};

typedef enum presence { ONE, MANY, MANY_OR_NONE /* an empty array is written too */ } presence;

typedef struct field {
    char key[26]; /* with quotes and colon; no pointer, which would make the table writable data */
    uint8_t key_bytes;
    uint8_t form;
    uint8_t presence;
    uint8_t of; /* the message it holds */
} field;

#define MAX_FIELDS 16

#define KEY(name) "\"" name "\":", sizeof("\"" name "\":") - 1

static const field fields[N_MESSAGES][MAX_FIELDS + 1] = {
    [REQUEST] = {[1] = {KEY("resourceSpans"), MESSAGE, MANY, RESOURCE_SPANS}},
    [RESOURCE_SPANS] = {
        [1] = {KEY("resource"), MESSAGE, ONE, RESOURCE},
        [2] = {KEY("scopeSpans"), MESSAGE, MANY, SCOPE_SPANS},
        [3] = {KEY("schemaUrl"), TEXT, ONE, 0},
    },
    [RESOURCE] = {[1] = {KEY("attributes"), MESSAGE, MANY, KEY_VALUE}},
    [SCOPE_SPANS] = {
        [1] = {KEY("scope"), MESSAGE, ONE, SCOPE},
        [2] = {KEY("spans"), MESSAGE, MANY, SPAN},
        [3] = {KEY("schemaUrl"), TEXT, ONE, 0},
    },
    [SCOPE] = {
        [1] = {KEY("name"), TEXT, ONE, 0},
        [2] = {KEY("version"), TEXT, ONE, 0},
        [3] = {KEY("attributes"), MESSAGE, MANY, KEY_VALUE},
    },
    [SPAN] = {
        [1] = {KEY("traceId"), HEX, ONE, 0},
        [2] = {KEY("spanId"), HEX, ONE, 0},
        [3] = {KEY("traceState"), TEXT, ONE, 0},
        [4] = {KEY("parentSpanId"), HEX, ONE, 0},
        [5] = {KEY("name"), TEXT, ONE, 0},
        [6] = {KEY("kind"), VARINT_NUMBER, ONE, 0},
        [7] = {KEY("startTimeUnixNano"), FIXED64_TEXT, ONE, 0},
        [8] = {KEY("endTimeUnixNano"), FIXED64_TEXT, ONE, 0},
        [9] = {KEY("attributes"), MESSAGE, MANY, KEY_VALUE},
        [10] = {KEY("droppedAttributesCount"), VARINT_NUMBER, ONE, 0},
        [11] = {KEY("events"), MESSAGE, MANY, EVENT},
        [12] = {KEY("droppedEventsCount"), VARINT_NUMBER, ONE, 0},
        [13] = {KEY("links"), MESSAGE, MANY, LINK},
        [14] = {KEY("droppedLinksCount"), VARINT_NUMBER, ONE, 0},
        [15] = {KEY("status"), MESSAGE, ONE, STATUS},
        [16] = {KEY("flags"), FIXED32_NUMBER, ONE, 0},
    },
    [EVENT] = {
        [1] = {KEY("timeUnixNano"), FIXED64_TEXT, ONE, 0},
        [2] = {KEY("name"), TEXT, ONE, 0},
        [3] = {KEY("attributes"), MESSAGE, MANY, KEY_VALUE},
        [4] = {KEY("droppedAttributesCount"), VARINT_NUMBER, ONE, 0},
    },
    [LINK] = {
        [1] = {KEY("traceId"), HEX, ONE, 0},
        [2] = {KEY("spanId"), HEX, ONE, 0},
        [3] = {KEY("traceState"), TEXT, ONE, 0},
        [4] = {KEY("attributes"), MESSAGE, MANY, KEY_VALUE},
        [5] = {KEY("droppedAttributesCount"), VARINT_NUMBER, ONE, 0},
        [6] = {KEY("flags"), FIXED32_NUMBER, ONE, 0},
    },
    [STATUS] = {
        [2] = {KEY("message"), TEXT, ONE, 0},
        [3] = {KEY("code"), VARINT_NUMBER, ONE, 0},
    },
    [KEY_VALUE] = {
        [1] = {KEY("key"), TEXT, ONE, 0},
        [2] = {KEY("value"), MESSAGE, ONE, ANY_VALUE},
    },
    [ANY_VALUE] = {
        [1] = {KEY("stringValue"), TEXT, ONE, 0},
        [2] = {KEY("boolValue"), TRUTH, ONE, 0},
        [3] = {KEY("intValue"), VARINT_TEXT, ONE, 0},
        [4] = {KEY("doubleValue"), REAL, ONE, 0},
        [5] = {KEY("arrayValue"), MESSAGE, ONE, ARRAY},
        [6] = {KEY("kvlistValue"), MESSAGE, ONE, KEY_VALUES},
        [7] = {KEY("bytesValue"), BASE64, ONE, 0},
    },
    [ARRAY] = {[1] = {KEY("values"), MESSAGE, MANY_OR_NONE, ANY_VALUE}},
    [KEY_VALUES] = {[1] = {KEY("values"), MESSAGE, MANY_OR_NONE, KEY_VALUE}},
};

static const uint8_t n_fields[N_MESSAGES] = {
    [REQUEST] = 1, [RESOURCE_SPANS] = 3, [RESOURCE] = 1, [SCOPE_SPANS] = 3, [SCOPE] = 3, [SPAN] = 16, [EVENT] = 4,
    [LINK] = 6, [STATUS] = 3, [KEY_VALUE] = 2, [ANY_VALUE] = 7, [ARRAY] = 1, [KEY_VALUES] = 1,
};

/* Messages in one another, so that foreign bytes do not run down the stack. Readers
 * of protobuf stop at 100, and so do our records (TC_RECORD_MAX_DEPTH). */
#define MAX_DEPTH 100

/* ---- reading ------------------------------------------------------------------- */

typedef struct value {
    uint32_t number; /* of the field */
    enum tc_pb_wire wire;
    uint64_t word;       /* varint and fixed: the value; length-delimited: how many bytes */
    const uint8_t *view; /* length-delimited: the bytes */
} value;

static inline bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *v) {
    const uint8_t *p = *at;
    if (TC_LIKELY(p != end && *p < 0x80)) {
        *v = *p;
        *at = p + 1;
        return true;
    }
    *v = 0;
    for (int shift = 0; shift < 64 && p != end; shift += 7) {
        uint8_t byte = *p++;
        *v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at = p;
            return true;
        }
    }
    return false;
}

/* 1: a field, 0: the end, -1: malformed. */
static inline int next_field(const uint8_t **at, const uint8_t *end, value *to) {
    if (*at == end) return 0;
    uint64_t tag;
    if (!read_varint(at, end, &tag) || tag >> 3 > UINT32_MAX) return -1;
    to->number = (uint32_t)(tag >> 3);
    to->wire = (enum tc_pb_wire)(tag & 7);
    const uint8_t *p = *at;
    switch (to->wire) {
    case TC_PB_VARINT: return read_varint(at, end, &to->word) ? 1 : -1;
    case TC_PB_LENGTH:
        if (!read_varint(at, end, &to->word) || to->word > (uint64_t)(end - *at)) return -1;
        to->view = *at;
        *at += to->word;
        return 1;
    case TC_PB_FIXED64:
    case TC_PB_FIXED32: {
        int n = to->wire == TC_PB_FIXED64 ? 8 : 4;
        if (end - p < n) return -1;
        to->word = 0;
        for (int i = n; i-- > 0;) to->word = to->word << 8 | p[i];
        *at = p + n;
        return 1;
    }
    }
    return -1;
}

/* ---- writing ------------------------------------------------------------------- */

static void put(tc_bytes *out, char c) {
    if (tc_bytes_room(out, 1)) out->data[out->n++] = (uint8_t)c;
}

static bool write_message(tc_bytes *out, message of, const uint8_t *at, const uint8_t *end, uint32_t depth);

static bool write_value(tc_bytes *out, const field *f, const value *v, uint32_t depth) {
    switch ((form)f->form) {
    case TEXT: tc_json_text(out, v->view, v->word); break;
    case HEX: tc_json_hex(out, v->view, v->word); break;
    case BASE64: tc_json_base64(out, v->view, v->word); break;
    case MESSAGE: return write_message(out, (message)f->of, v->view, v->view + v->word, depth + 1);
    case FIXED64_TEXT: tc_json_u64_text(out, v->word); break;
    case VARINT_TEXT: tc_json_i64_text(out, (int64_t)v->word); break;
    case FIXED32_NUMBER:
    case VARINT_NUMBER: tc_json_u64(out, (uint32_t)v->word); break;
    case REAL: {
        double real;
        memcpy(&real, &v->word, sizeof real);
        tc_json_real(out, real);
        break;
    }
    case TRUTH: tc_pb_raw(out, (const uint8_t *)(v->word != 0 ? "true" : "false"), v->word != 0 ? 4 : 5); break;
    case ABSENT: return false;
    }
    return true;
}

/* Every `number` field among the n from `at` on, which are all there is of it. */
static bool write_array(tc_bytes *out, const field *f, uint32_t number, uint32_t n, const uint8_t *at,
                        const uint8_t *end, uint32_t depth) {
    put(out, '[');
    value v;
    for (uint32_t i = 0; i < n && next_field(&at, end, &v) == 1;) {
        if (v.number != number || v.wire != wire_of[f->form]) continue;
        if (i++ != 0) put(out, ',');
        if (!write_value(out, f, &v, depth)) return false;
    }
    put(out, ']');
    return true;
}

static bool is_known(const value *v, message of) {
    if (v->number == 0 || v->number > n_fields[of]) return false;
    const field *f = &fields[of][v->number];
    return f->form != ABSENT && v->wire == wire_of[f->form];
}

/* A message whose fields rise, as tc_otlp writes all of those that there are many of. */
static bool write_in_order(tc_bytes *out, message of, const uint8_t *at, const uint8_t *end, uint32_t depth) {
    uint32_t last = 0; /* the field that was written before */
    bool is_array = false;
    int more;
    value v;
    put(out, '{');
    while ((more = next_field(&at, end, &v)) == 1) {
        if (!is_known(&v, of)) continue;
        const field *f = &fields[of][v.number];
        if (v.number < last || (v.number == last && !is_array)) return false;
        if (v.number != last && is_array) put(out, ']');
        if (last != 0) put(out, ',');
        if (v.number != last) {
            tc_pb_raw(out, (const uint8_t *)f->key, f->key_bytes);
            is_array = f->presence != ONE;
            if (is_array) put(out, '[');
            last = v.number;
        }
        if (!write_value(out, f, &v, depth)) return false;
    }
    if (is_array) put(out, ']');
    if (last == 0 && fields[of][1].presence == MANY_OR_NONE) {
        tc_pb_raw(out, (const uint8_t *)fields[of][1].key, fields[of][1].key_bytes);
        tc_pb_raw(out, (const uint8_t *)"[]", 2);
    }
    put(out, '}');
    return more == 0;
}

/* A message whose fields come in any order, those that repeat between others: of a
 * span, attributes, events and links stand as they were set. A first pass notes where. */
static bool write_in_any_order(tc_bytes *out, message of, const uint8_t *at, const uint8_t *end, uint32_t depth) {
    struct {
        uint32_t n;
        const uint8_t *first; /* where its first field begins */
        value last;           /* of fields that do not repeat the last one counts */
    } seen[MAX_FIELDS + 1];
    for (uint32_t number = 1; number <= n_fields[of]; number++) seen[number].n = 0;
    for (;;) {
        const uint8_t *here = at;
        value v;
        int more = next_field(&at, end, &v);
        if (more < 0) return false;
        if (more == 0) break;
        if (!is_known(&v, of)) continue;
        if (seen[v.number].n++ == 0) seen[v.number].first = here;
        seen[v.number].last = v;
    }
    bool is_first = true;
    put(out, '{');
    for (uint32_t number = 1; number <= n_fields[of]; number++) {
        const field *f = &fields[of][number];
        if (seen[number].n == 0) continue;
        if (!is_first) put(out, ',');
        is_first = false;
        tc_pb_raw(out, (const uint8_t *)f->key, f->key_bytes);
        bool fits = f->presence == ONE
                        ? write_value(out, f, &seen[number].last, depth)
                        : write_array(out, f, number, seen[number].n, seen[number].first, end, depth);
        if (!fits) return false;
    }
    put(out, '}');
    return true;
}

static bool write_message(tc_bytes *out, message of, const uint8_t *at, const uint8_t *end, uint32_t depth) {
    if (depth > MAX_DEPTH) return false;
    bool is_mixed = of == SPAN || of == REQUEST || of == RESOURCE_SPANS || of == SCOPE_SPANS;
    return is_mixed ? write_in_any_order(out, of, at, end, depth) : write_in_order(out, of, at, end, depth);
}

tc_status tc_otlp_json(tc_bytes *out, const uint8_t *request, uint64_t n) {
    bool is_whole = write_message(out, REQUEST, request, request + n, 0);
    if (out->failed) return TC_NO_MEMORY;
    return is_whole ? TC_OK : TC_CORRUPT;
}
