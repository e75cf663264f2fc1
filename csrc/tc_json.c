#include "tc_json.h"

static const char hex_digits[] = "0123456789abcdef";

/* ---- text and bytes ---------------------------------------------------------- */

/* What follows the backslash: 0 for bytes that stand for themselves, 'u' for \u00XX. */
static uint8_t escape_of(uint8_t byte) {
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return byte < 0x20 ? 'u' : 0;
    }
}

/* Escaped at p, which has room for MAX_ESCAPE_BYTES times n. */
static uint8_t *text_at(uint8_t *p, const uint8_t *text, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        uint8_t byte = text[i];
        if (TC_LIKELY(byte >= 0x20 && byte != '"' && byte != '\\')) {
            *p++ = byte;
            continue;
        }
        uint8_t escape = escape_of(byte);
        *p++ = '\\';
        *p++ = escape;
        if (escape == 'u') {
            *p++ = '0';
            *p++ = '0';
            *p++ = (uint8_t)hex_digits[byte >> 4];
            *p++ = (uint8_t)hex_digits[byte & 0xf];
        }
    }
    return p;
}

#define MAX_ESCAPE_BYTES 6 /* \u00XX */
#define PIECE_BYTES 256u /* so that a long text does not reserve six times its size */

void tc_json_text(tc_bytes *b, const uint8_t *text, uint64_t n) {
    if (!tc_bytes_room(b, 1)) return;
    b->data[b->n++] = '"';
    for (uint64_t i = 0; i < n; i += PIECE_BYTES) {
        uint64_t piece = n - i < PIECE_BYTES ? n - i : PIECE_BYTES;
        if (!tc_bytes_room(b, MAX_ESCAPE_BYTES * piece)) return;
        b->n = (uint64_t)(text_at(b->data + b->n, text + i, piece) - b->data);
    }
    if (!tc_bytes_room(b, 1)) return;
    b->data[b->n++] = '"';
}

void tc_json_hex(tc_bytes *b, const uint8_t *value, uint64_t n) {
    if (!tc_bytes_room(b, 2 * n + 2)) return;
    uint8_t *p = b->data + b->n;
    *p++ = '"';
    for (uint64_t i = 0; i < n; i++) {
        *p++ = (uint8_t)hex_digits[value[i] >> 4];
        *p++ = (uint8_t)hex_digits[value[i] & 0xf];
    }
    *p++ = '"';
    b->n = (uint64_t)(p - b->data);
}

void tc_json_base64(tc_bytes *b, const uint8_t *value, uint64_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (!tc_bytes_room(b, (n + 2) / 3 * 4 + 2)) return;
    uint8_t *p = b->data + b->n;
    *p++ = '"';
    for (uint64_t i = 0; i < n; i += 3) {
        uint64_t left = n - i;
        uint32_t three = (uint32_t)value[i] << 16 | (left > 1 ? (uint32_t)value[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)value[i + 2] : 0);
        *p++ = (uint8_t)digits[three >> 18];
        *p++ = (uint8_t)digits[three >> 12 & 63];
        *p++ = left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=';
        *p++ = left > 2 ? (uint8_t)digits[three & 63] : '=';
    }
    *p++ = '"';
    b->n = (uint64_t)(p - b->data);
}

/* ---- integers ------------------------------------------------------------------ */

#define MAX_U64_DIGITS 20

/* The digits of v at p, which has room; answers what follows them. */
static uint8_t *u64_at(uint8_t *p, uint64_t v) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
                                "9899";
    uint8_t digits[MAX_U64_DIGITS];
    int first = MAX_U64_DIGITS;
    for (; v >= 100; v /= 100) {
        first -= 2;
        memcpy(digits + first, pairs + v % 100 * 2, 2);
    }
    if (v >= 10) {
        first -= 2;
        memcpy(digits + first, pairs + v * 2, 2);
    } else {
        digits[--first] = (uint8_t)('0' + v);
    }
    memcpy(p, digits + first, (size_t)(MAX_U64_DIGITS - first));
    return p + (MAX_U64_DIGITS - first);
}

void tc_json_u64(tc_bytes *b, uint64_t v) {
    if (!tc_bytes_room(b, MAX_U64_DIGITS)) return;
    b->n = (uint64_t)(u64_at(b->data + b->n, v) - b->data);
}

static void quoted(tc_bytes *b, bool is_negative, uint64_t v) {
    if (!tc_bytes_room(b, MAX_U64_DIGITS + 3)) return;
    uint8_t *p = b->data + b->n;
    *p++ = '"';
    if (is_negative) *p++ = '-';
    p = u64_at(p, v);
    *p++ = '"';
    b->n = (uint64_t)(p - b->data);
}

void tc_json_u64_text(tc_bytes *b, uint64_t v) { quoted(b, false, v); }

void tc_json_i64_text(tc_bytes *b, int64_t v) { quoted(b, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v); }

/* ---- reals ---------------------------------------------------------------------- */

#define MAX_REAL_DIGITS 17
#define MAX_REAL_BYTES 32 /* "-0.000" and 17 digits; "-d.dddd...e-324"; "-Infinity" in quotes */

/* 0.d1d2d3... times ten to the `point`. */
typedef struct decimal {
    uint8_t digits[MAX_U64_DIGITS];
    int n;
    int point;
} decimal;

/* Natural numbers below 2^1280, little end first. The largest met here is about
 * 2^1080: ten times what two to the 1076 stands for in the smallest double. */
#define LIMBS 40

typedef struct natural {
    uint32_t limb[LIMBS];
    int n; /* limbs in use; the last one is not 0 */
} natural;

static void set(natural *a, uint64_t v) {
    a->limb[0] = (uint32_t)v;
    a->limb[1] = (uint32_t)(v >> 32);
    a->n = a->limb[1] != 0 ? 2 : a->limb[0] != 0;
}

static void multiply(natural *a, uint32_t by) {
    uint64_t carry = 0;
    for (int i = 0; i < a->n; i++) {
        carry += (uint64_t)a->limb[i] * by;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0) a->limb[a->n++] = (uint32_t)carry;
}

static void multiply_by_ten_to_the(natural *a, int power) {
    for (; power >= 9; power -= 9) multiply(a, 1000000000u);
    for (; power > 0; power--) multiply(a, 10);
}

static void shift(natural *a, int bits) {
    int limbs = bits / 32;
    multiply(a, 1u << bits % 32);
    if (limbs == 0 || a->n == 0) return;
    memmove(a->limb + limbs, a->limb, (size_t)a->n * sizeof *a->limb);
    memset(a->limb, 0, (size_t)limbs * sizeof *a->limb);
    a->n += limbs;
}

/* Below, at or above 0 as a is below, at or above b. */
static int compare(const natural *a, const natural *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (int i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i]) return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

static void add(natural *a, const natural *b) {
    uint64_t carry = 0;
    for (int i = 0; i < a->n || i < b->n; i++) {
        carry += (uint64_t)(i < a->n ? a->limb[i] : 0) + (i < b->n ? b->limb[i] : 0);
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (a->n < b->n) a->n = b->n;
    if (carry != 0) a->limb[a->n++] = (uint32_t)carry;
}

/* a -= b, where a is not the smaller one. */
static void subtract(natural *a, const natural *b) {
    uint64_t borrow = 0;
    for (int i = 0; i < a->n; i++) {
        uint64_t difference = (uint64_t)a->limb[i] - (i < b->n ? b->limb[i] : 0) - borrow;
        a->limb[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
    while (a->n > 0 && a->limb[a->n - 1] == 0) a->n--;
}

/* compare(a + b, c) */
static int compare_sum(const natural *a, const natural *b, const natural *c) {
    natural sum = *a;
    add(&sum, b);
    return compare(&sum, c);
}

/* Burger and Dybvig's free-format algorithm, with their names: the value is r / s,
 * and what lies within m_down / s below it and m_up / s above reads back as it. */
static void shortest_exactly(decimal *to, uint64_t fraction, int exponent) {
    natural r, s, m_up, m_down;
    bool is_even = (fraction & 1) == 0; /* then the bounds themselves read back too */
    /* the neighbour below a power of two is half as far away; not among the subnormals */
    int narrow = fraction == 1ull << 52 && exponent > -1074;
    int up = exponent > 0 ? exponent : 0, down = exponent < 0 ? -exponent : 0;
    set(&r, fraction);
    shift(&r, up + 1 + narrow);
    set(&s, 1);
    shift(&s, down + 1 + narrow);
    set(&m_down, 1);
    shift(&m_down, up);
    m_up = m_down;
    shift(&m_up, narrow);

    int log2 = exponent;
    for (uint64_t f = fraction; f > 1; f >>= 1) log2++;
    /* floor(log10(2) * log2) + 1: exact for these exponents, and at most one too low */
    int64_t scaled = (int64_t)log2 * 315653;
    int point = (int)((scaled - (scaled < 0 ? (1 << 20) - 1 : 0)) / (1 << 20)) + 1;
    if (point > 0) {
        multiply_by_ten_to_the(&s, point);
    } else {
        multiply_by_ten_to_the(&r, -point);
        multiply_by_ten_to_the(&m_up, -point);
        multiply_by_ten_to_the(&m_down, -point);
    }
    if (compare_sum(&r, &m_up, &s) >= (is_even ? 0 : 1)) {
        point++;
        multiply(&s, 10);
    }
    to->point = point;
    to->n = 0;
    for (;;) {
        multiply(&r, 10);
        multiply(&m_up, 10);
        multiply(&m_down, 10);
        uint8_t digit = 0;
        for (; compare(&r, &s) >= 0; digit++) subtract(&r, &s);
        bool is_low = compare(&r, &m_down) < (is_even ? 1 : 0);
        bool is_high = compare_sum(&r, &m_up, &s) >= (is_even ? 0 : 1);
        if (is_low || is_high || to->n == MAX_REAL_DIGITS - 1) {
            int half = compare_sum(&r, &r, &s);
            if (is_high && (!is_low || half > 0 || (half == 0 && (digit & 1)))) digit++;
            to->digits[to->n++] = (uint8_t)('0' + digit);
            return;
        }
        to->digits[to->n++] = (uint8_t)('0' + digit);
    }
}

/* Numbers as people write them: of up to 15 digits there is one decimal at most
 * within half a unit of a double, and one division tells whether this is it. */
static bool shortest_quickly(decimal *to, double v) {
    static const double ten_to_the[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                        1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
    if (!(v >= 1e-4 && v < 1e15)) return false;
    for (int k = 0; k < (int)(sizeof ten_to_the / sizeof *ten_to_the); k++) {
        double scaled = v * ten_to_the[k];
        if (scaled >= 1e15) return false;
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / ten_to_the[k] == v) {
            to->n = (int)(u64_at(to->digits, whole) - to->digits);
            to->point = to->n - k;
            return true;
        }
    }
    return false;
}

static uint8_t *digits_at(uint8_t *p, const decimal *d, int from, int to) {
    for (int i = from; i < to; i++) *p++ = i >= 0 && i < d->n ? d->digits[i] : '0';
    return p;
}

static uint8_t *decimal_at(uint8_t *p, const decimal *d) {
    int exponent = d->point - 1;
    if (exponent >= -4 && exponent < 16) {
        if (d->point <= 0) *p++ = '0';
        p = digits_at(p, d, 0, d->point);
        *p++ = '.';
        int end = d->n > d->point ? d->n : d->point + 1;
        return digits_at(p, d, d->point, end);
    }
    *p++ = d->digits[0];
    if (d->n > 1) *p++ = '.';
    p = digits_at(p, d, 1, d->n);
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    if (exponent < 0) exponent = -exponent;
    if (exponent < 10) *p++ = '0';
    return u64_at(p, (uint64_t)exponent);
}

void tc_json_real(tc_bytes *b, double v) {
    if (!tc_bytes_room(b, MAX_REAL_BYTES)) return;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bool is_negative = bits >> 63;
    uint64_t fraction = bits & ((1ull << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint8_t *p = b->data + b->n;
    if (exponent == 0x7ff) {
        const char *word = fraction != 0 ? "\"NaN\"" : is_negative ? "\"-Infinity\"" : "\"Infinity\"";
        tc_pb_raw(b, (const uint8_t *)word, strlen(word));
        return;
    }
    if (is_negative) *p++ = '-';
    decimal d = {{'0'}, 1, 1};
    if (exponent != 0 || fraction != 0) {
        if (!shortest_quickly(&d, is_negative ? -v : v))
            shortest_exactly(&d, exponent == 0 ? fraction : fraction | 1ull << 52,
                             (exponent == 0 ? 1 : exponent) - 1075);
    }
    p = decimal_at(p, &d);
    b->n = (uint64_t)(p - b->data);
}
