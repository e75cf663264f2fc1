/* json_text: whether bytes are one JSON value. Shares nothing with tc_json. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <string.h>

static const uint8_t *json_value(const uint8_t *p, const uint8_t *end, int depth);

static const uint8_t *json_expect(const uint8_t *p, const uint8_t *end, const char *word) {
    size_t n = strlen(word);
    CHECK((size_t)(end - p) >= n && memcmp(p, word, n) == 0);
    return p + n;
}

static bool json_is(const uint8_t *p, const uint8_t *end, char c) { return p != end && *p == (uint8_t)c; }
static bool json_is_digit(const uint8_t *p, const uint8_t *end) { return p != end && *p >= '0' && *p <= '9'; }

static const uint8_t *json_digits(const uint8_t *p, const uint8_t *end) {
    CHECK(json_is_digit(p, end));
    while (json_is_digit(p, end)) p++;
    return p;
}

static const uint8_t *json_number(const uint8_t *p, const uint8_t *end) {
    if (json_is(p, end, '-')) p++;
    const uint8_t *first = p;
    p = json_digits(p, end);
    CHECK(*first != '0' || p == first + 1);
    if (json_is(p, end, '.')) p = json_digits(p + 1, end);
    if (!json_is(p, end, 'e')) return p;
    p++;
    if (json_is(p, end, '+') || json_is(p, end, '-')) p++;
    return json_digits(p, end);
}

static const uint8_t *json_string(const uint8_t *p, const uint8_t *end) {
    p = json_expect(p, end, "\"");
    for (;;) {
        CHECK(p != end && *p >= 0x20);
        if (*p == '"') return p + 1;
        if (*p++ != '\\') continue;
        CHECK(p != end && *p != 0 && strchr("\"\\bfnrtu", *p) != NULL);
        if (*p++ != 'u') continue;
        CHECK(end - p >= 4);
        for (int i = 0; i < 4; i++) CHECK(p[i] != 0 && strchr("0123456789abcdef", p[i]) != NULL);
        p += 4;
    }
}

static const uint8_t *json_value(const uint8_t *p, const uint8_t *end, int depth) {
    CHECK(p != end && depth < 1000);
    if (*p == '"') return json_string(p, end);
    if (*p == 't') return json_expect(p, end, "true");
    if (*p == 'f') return json_expect(p, end, "false");
    if (*p != '{' && *p != '[') return json_number(p, end);
    bool is_object = *p++ == '{';
    char close = is_object ? '}' : ']';
    if (json_is(p, end, close)) return p + 1;
    for (;;) {
        if (is_object) p = json_expect(json_string(p, end), end, ":");
        p = json_value(p, end, depth + 1);
        if (json_is(p, end, close)) return p + 1;
        p = json_expect(p, end, ",");
    }
}

static void json_check(const uint8_t *p, uint64_t n) { CHECK(json_value(p, p + n, 0) == p + n); }

#endif
