/* tc_otlp_json: an ExportTraceServiceRequest of protobuf as OTLP's JSON.
 *
 *     records --tc_otlp--> protobuf --tc_otlp_json--> JSON
 *
 * Made from the protobuf rather than from the records: what is left out or
 * counted is decided in one place, resource and scopes need no second form, and a
 * program that sends both encodes its records once. The detour costs a tenth of
 * what writing the JSON does.
 *
 * The encoding: keys in lowerCamelCase, trace and span ids in hexadecimal, other
 * bytes in base64, 64-bit integers as strings, enums as numbers. A field is there
 * exactly when it is in the protobuf (and `values` of arrays and maps always,
 * which readers in dynamic languages count on).
 *
 * Needs no GIL and has no state.
 *
 * Source: OTLP specification 1.9, "JSON Protobuf Encoding".
 */
#ifndef TC_OTLP_JSON_H
#define TC_OTLP_JSON_H

#include "tc_json.h"

/* Appends the JSON object. TC_CORRUPT: not what tc_otlp writes; TC_NO_MEMORY. In
 * both cases the content of `out` is unusable. */
tc_status tc_otlp_json(tc_bytes *out, const uint8_t *request, uint64_t n);

#endif
