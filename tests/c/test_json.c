/* tc_json: values by their text, reals against the C library's own reading of them. */
#include "check.h"
#include "faults.h"
#include "json_text.h"
#include "tc_json.h"

#include <math.h>

static tc_bytes out;

static const char *taken(void) {
    static char text[1 << 16];
    CHECK(!out.failed && out.n < sizeof text);
    json_check(out.data, out.n);
    memcpy(text, out.data, out.n);
    text[out.n] = '\0';
    out.n = 0;
    return text;
}

static bool text_is(const char *text, size_t n, const char *expected) {
    tc_json_text(&out, (const uint8_t *)text, n);
    return strcmp(taken(), expected) == 0;
}

static void text_is_escaped_where_json_asks_for_it(void) {
    CHECK(text_is("", 0, "\"\""));
    CHECK(text_is("GET /", 5, "\"GET /\""));
    CHECK(text_is("\"\\/", 3, "\"\\\"\\\\/\""));
    CHECK(text_is("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""));
    CHECK(text_is("\0\x1f\x7f", 3, "\"\\u0000\\u001f\x7f\""));
    CHECK(text_is("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\""));
}

static void every_byte_has_a_form_at_every_length(void) {
    static char all[1024];
    for (int i = 0; i < 1024; i++) all[i] = (char)(i % 128);
    for (size_t n = 0; n <= sizeof all; n += n < 520 ? 1 : 63) {
        tc_json_text(&out, (const uint8_t *)all, n);
        CHECK(strlen(taken()) >= n + 2);
    }
}

static void bytes_become_hexadecimal_or_base64(void) {
    static const uint8_t bytes[] = {0x00, 0xff, 0x10, 0xab, 0x7e};
    static const char *base64[] = {"\"\"", "\"AA==\"", "\"AP8=\"", "\"AP8Q\"", "\"AP8Qqw==\"", "\"AP8Qq34=\""};
    for (uint64_t n = 0; n <= 5; n++) {
        tc_json_base64(&out, bytes, n);
        CHECK(strcmp(taken(), base64[n]) == 0);
    }
    tc_json_hex(&out, bytes, 5);
    CHECK(strcmp(taken(), "\"00ff10ab7e\"") == 0);
}

static void integers_keep_every_digit(void) {
    tc_json_u64(&out, 0);
    CHECK(strcmp(taken(), "0") == 0);
    tc_json_u64(&out, UINT64_MAX);
    CHECK(strcmp(taken(), "18446744073709551615") == 0);
    tc_json_u64_text(&out, 1700000000000000001ull);
    CHECK(strcmp(taken(), "\"1700000000000000001\"") == 0);
    tc_json_i64_text(&out, INT64_MIN);
    CHECK(strcmp(taken(), "\"-9223372036854775808\"") == 0);
    tc_json_i64_text(&out, -1);
    CHECK(strcmp(taken(), "\"-1\"") == 0);
    tc_json_i64_text(&out, INT64_MAX);
    CHECK(strcmp(taken(), "\"9223372036854775807\"") == 0);
}

static void reals_are_written_as_python_writes_them(void) {
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0.0, "0.0"}, {-0.0, "-0.0"}, {1.0, "1.0"}, {-99.9, "-99.9"}, {0.1, "0.1"}, {100.0, "100.0"},
        {0.0001, "0.0001"}, {0.00001, "1e-05"}, {123456789.125, "123456789.125"},
        {999999999999999.0, "999999999999999.0"}, {1e15, "1000000000000000.0"}, {9007199254740993.0, "9007199254740992.0"},
        {1e16, "1e+16"}, {1.5e16, "1.5e+16"}, {1e22, "1e+22"}, {1e23, "1e+23"}, {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"}, {0.1 + 0.2, "0.30000000000000004"}, {5e-324, "5e-324"},
        {0x1p-44, "5.684341886080802e-14"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"}, {INFINITY, "\"Infinity\""}, {-INFINITY, "\"-Infinity\""},
        {NAN, "\"NaN\""}, {-NAN, "\"NaN\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tc_json_real(&out, cases[i].v);
        const char *text = taken();
        if (strcmp(text, cases[i].text) != 0) fprintf(stderr, "is %s, expected %s\n", text, cases[i].text);
        CHECK(strcmp(text, cases[i].text) == 0);
    }
}

static int n_digits(const char *text) {
    int n = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9') continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        if (n != 0 || *text != '0') n++;
    }
    return n - zeros < 1 ? 1 : n - zeros;
}

static void a_real_reads_back_and_no_fewer_digits_do(uint64_t bits) {
    double v, back;
    memcpy(&v, &bits, 8);
    if (!isfinite(v)) return;
    tc_json_real(&out, v);
    const char *text = taken();
    back = strtod(text, NULL);
    CHECK(memcmp(&back, &v, 8) == 0);
    char shorter[64];
    int n = n_digits(text);
    if (n > 1) {
        snprintf(shorter, sizeof shorter, "%.*e", n - 2, v);
        CHECK(strtod(shorter, NULL) != v);
    }
    CHECK(n <= 17);
}

static void any_real_reads_back_as_itself(void) {
    uint64_t state = 1;
    for (int i = 0; i < 40000; i++) a_real_reads_back_and_no_fewer_digits_do(check_random(&state));
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (int64_t by = -1; by <= 1; by++)
            if (exponent != 0 || by >= 0) a_real_reads_back_and_no_fewer_digits_do((exponent << 52) + (uint64_t)by);
    for (int i = 0; i < 40000; i++) {
        double v = (double)(int64_t)(check_random(&state) % 2000000000) / 1000;
        uint64_t bits;
        memcpy(&bits, &v, 8);
        a_real_reads_back_and_no_fewer_digits_do(bits);
    }
}

static void without_memory_nothing_is_written(void) {
    tc_bytes_clear(&out);
    static const uint8_t bytes[16];
    faults_fail_after(0);
    tc_json_text(&out, bytes, 16);
    CHECK(faults_stop() && out.failed);
    tc_json_text(&out, bytes, 16);
    tc_json_hex(&out, bytes, 16);
    tc_json_base64(&out, bytes, 16);
    tc_json_u64(&out, 1);
    tc_json_u64_text(&out, 1);
    tc_json_real(&out, NAN);
    CHECK(out.n == 0 && out.data == NULL);
    tc_bytes_clear(&out);
}

int main(void) {
    text_is_escaped_where_json_asks_for_it();
    every_byte_has_a_form_at_every_length();
    bytes_become_hexadecimal_or_base64();
    integers_keep_every_digit();
    reals_are_written_as_python_writes_them();
    any_real_reads_back_as_itself();
    without_memory_nothing_is_written();
    CHECK(faults_n_held() == 0);
    return 0;
}
