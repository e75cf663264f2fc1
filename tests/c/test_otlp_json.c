/* tc_otlp_json: messages of opentelemetry-proto, written here by tc_pb, as OTLP's JSON. */
#include "check.h"
#include "faults.h"
#include "json_text.h"
#include "tc_otlp_json.h"

static tc_bytes request;

static const uint8_t *b(const char *s) { return (const uint8_t *)s; }

static uint64_t open(uint32_t field) { return tc_pb_open(&request, field, 3); }
static void close(uint64_t at) { tc_pb_close(&request, at, 3); }
static void text(uint32_t field, const char *value) { tc_pb_bytes(&request, field, b(value), strlen(value)); }

static tc_status encode(tc_bytes *out) { return tc_otlp_json(out, request.data, request.n); }

static void expect(const char *expected) {
    tc_bytes out = {0};
    CHECK(encode(&out) == TC_OK);
    json_check(out.data, out.n);
    if (out.n != strlen(expected) || memcmp(out.data, expected, out.n) != 0)
        fprintf(stderr, "is       %.*s\nexpected %s\n", (int)out.n, (const char *)out.data, expected);
    CHECK(out.n == strlen(expected) && memcmp(out.data, expected, out.n) == 0);
    tc_bytes_clear(&out);
    tc_bytes_clear(&request);
}

static void key_value_open(uint64_t at[2], uint32_t field, const char *key) {
    at[0] = open(field);
    text(1, key);
    at[1] = open(2);
}

static void key_value_close(const uint64_t at[2]) {
    close(at[1]);
    close(at[0]);
}

static void every_field_has_its_key(void) {
    uint64_t at[2], resource_spans = open(1), resource = open(1);
    key_value_open(at, 1, "service.name");
    text(1, "shop");
    key_value_close(at);
    close(resource);
    uint64_t scope_spans = open(2), scope = open(1);
    text(1, "lib");
    text(2, "1.0");
    key_value_open(at, 3, "a");
    tc_pb_varint(&request, 2, 1);
    key_value_close(at);
    close(scope);
    uint64_t span = open(2);
    tc_pb_bytes(&request, 1, b("\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c"), 16);
    tc_pb_bytes(&request, 2, b("\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74"), 8);
    text(3, "s=1");
    tc_pb_bytes(&request, 4, b("\xee\xe1\x9b\x7e\xc3\xc1\xb1\x73"), 8);
    text(5, "GET \"/\"");
    tc_pb_varint(&request, 6, 2);
    tc_pb_fixed64(&request, 7, 1544712660000000000ull);
    tc_pb_fixed64(&request, 8, UINT64_MAX);
    tc_pb_varint(&request, 10, 3);
    uint64_t event = open(11);
    tc_pb_fixed64(&request, 1, 5);
    text(2, "event");
    key_value_open(at, 3, "e");
    tc_pb_varint(&request, 3, (uint64_t)-7);
    key_value_close(at);
    tc_pb_varint(&request, 4, 1);
    close(event);
    tc_pb_varint(&request, 12, 4);
    uint64_t link = open(13);
    tc_pb_bytes(&request, 1, b("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"), 16);
    tc_pb_bytes(&request, 2, b("\0\0\0\0\0\0\0\2"), 8);
    text(3, "l=1");
    key_value_open(at, 4, "l");
    tc_pb_fixed64(&request, 4, 0x3fe0000000000000ull);
    key_value_close(at);
    tc_pb_varint(&request, 5, 2);
    tc_pb_fixed32(&request, 6, 0x300);
    close(link);
    tc_pb_varint(&request, 14, 5);
    uint64_t status = open(15);
    text(2, "broken");
    tc_pb_varint(&request, 3, 2);
    close(status);
    tc_pb_fixed32(&request, 16, 0x100);
    close(span);
    text(3, "https://scope");
    close(scope_spans);
    text(3, "https://resource");
    close(resource_spans);
    expect("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},"
           "\"scopeSpans\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1.0\",\"attributes\":[{\"key\":\"a\",\"value\":{\"boolValue\":true}}]},"
           "\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"traceState\":\"s=1\","
           "\"parentSpanId\":\"eee19b7ec3c1b173\",\"name\":\"GET \\\"/\\\"\",\"kind\":2,"
           "\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":\"18446744073709551615\","
           "\"droppedAttributesCount\":3,"
           "\"events\":[{\"timeUnixNano\":\"5\",\"name\":\"event\",\"attributes\":[{\"key\":\"e\",\"value\":{\"intValue\":\"-7\"}}],"
           "\"droppedAttributesCount\":1}],\"droppedEventsCount\":4,"
           "\"links\":[{\"traceId\":\"00000000000000000000000000000001\",\"spanId\":\"0000000000000002\",\"traceState\":\"l=1\","
           "\"attributes\":[{\"key\":\"l\",\"value\":{\"doubleValue\":0.5}}],\"droppedAttributesCount\":2,\"flags\":768}],"
           "\"droppedLinksCount\":5,\"status\":{\"message\":\"broken\",\"code\":2},\"flags\":256}],"
           "\"schemaUrl\":\"https://scope\"}],\"schemaUrl\":\"https://resource\"}]}");
}

static void values_of_every_type_and_empty_ones(void) {
    uint64_t resource_spans = open(1), resource = open(1), at[2], inner;
    key_value_open(at, 1, "none");
    key_value_close(at);
    key_value_open(at, 1, "bytes");
    tc_pb_bytes(&request, 7, b("\xff"), 1);
    key_value_close(at);
    key_value_open(at, 1, "false");
    tc_pb_varint(&request, 2, 0);
    key_value_close(at);
    key_value_open(at, 1, "nan");
    tc_pb_fixed64(&request, 4, 0x7ff8000000000000ull);
    key_value_close(at);
    key_value_open(at, 1, "array");
    uint64_t array = open(5);
    for (int i = 0; i < 2; i++) {
        inner = open(1);
        text(1, i == 0 ? "" : "x");
        close(inner);
    }
    close(array);
    key_value_close(at);
    key_value_open(at, 1, "empty array");
    close(open(5));
    key_value_close(at);
    key_value_open(at, 1, "empty map");
    close(open(6));
    key_value_close(at);
    close(resource);
    close(resource_spans);
    expect("{\"resourceSpans\":[{\"resource\":{\"attributes\":["
           "{\"key\":\"none\",\"value\":{}},"
           "{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"/w==\"}},"
           "{\"key\":\"false\",\"value\":{\"boolValue\":false}},"
           "{\"key\":\"nan\",\"value\":{\"doubleValue\":\"NaN\"}},"
           "{\"key\":\"array\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"\"},{\"stringValue\":\"x\"}]}}},"
           "{\"key\":\"empty array\",\"value\":{\"arrayValue\":{\"values\":[]}}},"
           "{\"key\":\"empty map\",\"value\":{\"kvlistValue\":{\"values\":[]}}}]}}]}");
}

static void fields_that_repeat_may_stand_among_others(void) {
    uint64_t resource_spans = open(1), scope_spans = open(2), span = open(2);
    static const uint32_t order[] = {9, 11, 9, 13, 11, 9};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        char digit[2] = {(char)('0' + i), 0};
        uint64_t at = open(order[i]);
        text(order[i] == 9 ? 1 : order[i] == 11 ? 2 : 3, digit);
        close(at);
    }
    text(5, "first name");
    text(5, "last name");
    close(span);
    close(scope_spans);
    close(resource_spans);
    expect("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"last name\","
           "\"attributes\":[{\"key\":\"0\"},{\"key\":\"2\"},{\"key\":\"5\"}],"
           "\"events\":[{\"name\":\"1\"},{\"name\":\"4\"}],\"links\":[{\"traceState\":\"3\"}]}]}]}]}");
}

static void nothing_is_an_empty_request(void) { expect("{}"); }

static void unknown_fields_are_passed_over(void) {
    tc_pb_varint(&request, 9, 1);
    tc_pb_fixed32(&request, 99, 1);
    tc_pb_fixed64(&request, 98, 1);
    text(2000, "x");
    tc_pb_varint(&request, 1, 7); /* a known number of another type */
    expect("{}");
}

static void malformed_bytes_are_told(void) {
    static const char *malformed[] = {"\x0a", "\x0a\x05", "\x0a\x80", "\x0b", "\x0f", "\x09\x01", "\x0d\x01", "\x0a\x01\x0a",
                                      "\x0a\x02\x12\x05", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        tc_bytes out = {0};
        CHECK(tc_otlp_json(&out, b(malformed[i]), strlen(malformed[i])) == TC_CORRUPT);
        tc_bytes_clear(&out);
    }
}

static tc_status nested(int depth) {
    uint64_t at[400];
    int n = 0;
    at[n++] = open(1);
    at[n++] = open(1);
    at[n++] = open(1);
    at[n++] = open(2);
    while (n < depth) {
        at[n++] = open(5);
        at[n++] = open(1);
    }
    while (n > 0) close(at[--n]);
    tc_bytes out = {0};
    tc_status status = encode(&out);
    tc_bytes_clear(&out);
    tc_bytes_clear(&request);
    return status;
}

static void nesting_has_a_limit_above_that_of_records(void) {
    CHECK(nested(98) == TC_OK);
    CHECK(nested(100) == TC_OK);
    CHECK(nested(102) == TC_CORRUPT);
    CHECK(nested(398) == TC_CORRUPT);
}

static void without_memory_there_is_no_json_and_nothing_leaks(void) {
    uint64_t resource_spans = open(1), scope_spans = open(2);
    for (int i = 0; i < 300; i++) {
        uint64_t span = open(2);
        tc_pb_bytes(&request, 1, b("0123456789abcdef"), 16);
        text(5, "a name of some length");
        close(span);
    }
    close(scope_spans);
    close(resource_spans);
    long held = faults_n_held();
    for (long which = 0;; which++) {
        tc_bytes out = {0};
        faults_fail_after(which);
        tc_status status = encode(&out);
        bool failed = faults_stop();
        CHECK(status == (failed ? TC_NO_MEMORY : TC_OK));
        tc_bytes_clear(&out);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(which >= 3);
            break;
        }
    }
    tc_bytes_clear(&request);
}

int main(void) {
    every_field_has_its_key();
    values_of_every_type_and_empty_ones();
    fields_that_repeat_may_stand_among_others();
    nothing_is_an_empty_request();
    unknown_fields_are_passed_over();
    malformed_bytes_are_told();
    nesting_has_a_limit_above_that_of_records();
    without_memory_there_is_no_json_and_nothing_leaks();
    CHECK(faults_n_held() == 0);
    return 0;
}
