/* otlp_text: an ExportTraceServiceRequest as text, to compare by eye.
 *
 *     resource_spans{scope_spans{spans{name"GET" kind:1 ...}}}
 *
 * A reader of its own: it shares nothing with tc_pb, knows the fields of
 * opentelemetry-proto by number, and refuses what is not well formed.
 */
#ifndef OTLP_TEXT_H
#define OTLP_TEXT_H

#include <inttypes.h>
#include <string.h>

typedef enum otlp_message {
    REQUEST, RESOURCE_SPANS, RESOURCE, SCOPE_SPANS, SCOPE, SPAN, EVENT, LINK, STATUS, KEY_VALUE, ANY, ARRAY, KEY_VALUES,
    SCALAR = 100, HEX, TEXT, REAL,
} otlp_message;

typedef struct otlp_field {
    otlp_message in;
    uint32_t number;
    const char *name;
    otlp_message holds;
} otlp_field;

static const otlp_field otlp_fields[] = {
    {REQUEST, 1, "resource_spans", RESOURCE_SPANS},
    {RESOURCE_SPANS, 1, "resource", RESOURCE}, {RESOURCE_SPANS, 2, "scope_spans", SCOPE_SPANS},
    {RESOURCE_SPANS, 3, "schema_url", TEXT},
    {RESOURCE, 1, "attributes", KEY_VALUE},
    {SCOPE_SPANS, 1, "scope", SCOPE}, {SCOPE_SPANS, 2, "spans", SPAN}, {SCOPE_SPANS, 3, "schema_url", TEXT},
    {SCOPE, 1, "name", TEXT}, {SCOPE, 2, "version", TEXT}, {SCOPE, 3, "attributes", KEY_VALUE},
    {SPAN, 1, "trace_id", HEX}, {SPAN, 2, "span_id", HEX}, {SPAN, 3, "trace_state", TEXT},
    {SPAN, 4, "parent_span_id", HEX}, {SPAN, 5, "name", TEXT}, {SPAN, 6, "kind", SCALAR}, {SPAN, 7, "start", SCALAR},
    {SPAN, 8, "end", SCALAR}, {SPAN, 9, "attributes", KEY_VALUE}, {SPAN, 10, "dropped_attributes", SCALAR},
    {SPAN, 11, "events", EVENT}, {SPAN, 12, "dropped_events", SCALAR}, {SPAN, 13, "links", LINK},
    {SPAN, 14, "dropped_links", SCALAR}, {SPAN, 15, "status", STATUS}, {SPAN, 16, "flags", SCALAR},
    {EVENT, 1, "time", SCALAR}, {EVENT, 2, "name", TEXT}, {EVENT, 3, "attributes", KEY_VALUE},
    {EVENT, 4, "dropped_attributes", SCALAR},
    {LINK, 1, "trace_id", HEX}, {LINK, 2, "span_id", HEX}, {LINK, 3, "trace_state", TEXT},
    {LINK, 4, "attributes", KEY_VALUE}, {LINK, 5, "dropped_attributes", SCALAR}, {LINK, 6, "flags", SCALAR},
    {STATUS, 2, "message", TEXT}, {STATUS, 3, "code", SCALAR},
    {KEY_VALUE, 1, "key", TEXT}, {KEY_VALUE, 2, "value", ANY},
    {ANY, 1, "string", TEXT}, {ANY, 2, "bool", SCALAR}, {ANY, 3, "int", SCALAR}, {ANY, 4, "double", REAL},
    {ANY, 5, "array", ARRAY}, {ANY, 6, "map", KEY_VALUES}, {ANY, 7, "bytes", HEX},
    {ARRAY, 1, "values", ANY},
    {KEY_VALUES, 1, "values", KEY_VALUE},
};

typedef struct otlp_text {
    char *to; /* NULL: only check */
    size_t n, room;
} otlp_text;

static void otlp_put(otlp_text *t, const char *text, size_t n) {
    if (t->to == NULL) return;
    CHECK(t->room - t->n > n);
    memcpy(t->to + t->n, text, n);
    t->n += n;
    t->to[t->n] = '\0';
}

static uint64_t otlp_varint(const uint8_t **at, const uint8_t *end) {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        CHECK(shift < 70 && *at != end);
        uint8_t byte = *(*at)++;
        CHECK(shift < 63 || byte <= 1);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            CHECK(byte != 0 || shift == 0); /* minimal */
            return v;
        }
    }
}

static uint64_t otlp_fixed(const uint8_t **at, const uint8_t *end, int n) {
    CHECK(end - *at >= n);
    uint64_t v = 0;
    for (int i = n; i-- > 0;) v = v << 8 | (*at)[i];
    *at += n;
    return v;
}

static void otlp_read(otlp_text *t, otlp_message message, const uint8_t *at, const uint8_t *end) {
    const char *between = "";
    while (at != end) {
        uint64_t tag = otlp_varint(&at, end);
        const otlp_field *f = NULL;
        for (size_t i = 0; i < sizeof otlp_fields / sizeof *otlp_fields; i++)
            if (otlp_fields[i].in == message && otlp_fields[i].number == tag >> 3) f = &otlp_fields[i];
        CHECK(f != NULL);
        char text[64];
        otlp_put(t, between, strlen(between));
        otlp_put(t, f->name, strlen(f->name));
        between = " ";
        if (f->holds == SCALAR || f->holds == REAL) {
            CHECK((tag & 7) == 0 || (tag & 7) == 1 || (tag & 7) == 5);
            uint64_t v = (tag & 7) == 0 ? otlp_varint(&at, end) : otlp_fixed(&at, end, (tag & 7) == 1 ? 8 : 4);
            double real;
            memcpy(&real, &v, 8);
            int n = f->holds == REAL ? snprintf(text, sizeof text, ":%g", real)
                                     : snprintf(text, sizeof text, ":%" PRIu64, v);
            otlp_put(t, text, (size_t)n);
            continue;
        }
        CHECK((tag & 7) == 2);
        uint64_t n = otlp_varint(&at, end);
        CHECK(n <= (uint64_t)(end - at));
        if (f->holds == HEX) {
            otlp_put(t, "=", 1);
            for (uint64_t i = 0; i < n; i++) {
                snprintf(text, sizeof text, "%02x", at[i]);
                otlp_put(t, text, 2);
            }
        } else if (f->holds == TEXT) {
            otlp_put(t, "\"", 1);
            otlp_put(t, (const char *)at, n);
            otlp_put(t, "\"", 1);
        } else {
            otlp_put(t, "{", 1);
            otlp_read(t, f->holds, at, at + n);
            otlp_put(t, "}", 1);
        }
        at += n;
    }
}

#endif
