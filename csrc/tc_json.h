/* tc_json: just enough JSON to write values.
 *
 * Output grows in a tc_bytes, with the same rule for memory: running out sets
 * `failed`, the rest is harmless, and an encoder checks once at its end. Commas
 * and brackets are the caller's.
 *
 * Text is UTF-8 and passes through but for what JSON wants escaped. Reals are
 * the shortest digits that read back as the same double, in the notation of
 * Python's repr, whatever the locale; JSON has no NaN and no infinity, which
 * become the strings "NaN", "Infinity" and "-Infinity".
 *
 * Sources: RFC 8259; RFC 4648 section 4 (base64); protobuf.dev, "ProtoJSON Format"
 * (64-bit integers as strings, the three words); Burger and Dybvig, "Printing
 * Floating-Point Numbers Quickly and Accurately" (1996).
 */
#ifndef TC_JSON_H
#define TC_JSON_H

#include "tc_pb.h"

/* Each appends one value; all but tc_json_u64 and tc_json_real put quotes around it. */
void tc_json_text(tc_bytes *bytes, const uint8_t *text, uint64_t n);
void tc_json_hex(tc_bytes *bytes, const uint8_t *value, uint64_t n); /* lower case */
void tc_json_base64(tc_bytes *bytes, const uint8_t *value, uint64_t n);
void tc_json_u64(tc_bytes *bytes, uint64_t value);
void tc_json_u64_text(tc_bytes *bytes, uint64_t value);
void tc_json_i64_text(tc_bytes *bytes, int64_t value);
void tc_json_real(tc_bytes *bytes, double value); /* quoted only where it is one of the words */

#endif
