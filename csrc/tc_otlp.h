/* tc_otlp: records to OTLP.
 *
 * Writes one ExportTraceServiceRequest: the resource once, then the spans
 * grouped by instrumentation scope in the order in which the scopes first
 * appear. Field numbers are those of opentelemetry-proto
 * (collector/trace/v1, trace/v1, common/v1); the code mirrors its messages.
 *
 * Needs no GIL: reads records, the string tables and two byte runs, and writes
 * into its own buffer.
 */
#ifndef TC_OTLP_H
#define TC_OTLP_H

#include "tc_batch.h"
#include "tc_pb.h"
#include "tc_strings.h"

/* What the records refer to. All views must stay valid during the call. */
typedef struct tc_otlp_names {
    const tc_strings *strings; /* attribute keys, span and event names */
    const tc_strings *scopes;  /* tc_header.scope -> fields of ScopeSpans without its spans */
    const uint8_t *resource;   /* fields of ResourceSpans without its scope_spans */
    uint64_t resource_bytes;
} tc_otlp_names;

/* Appends the request for records first .. first + n - 1. `n_lost_attributes`
 * rises by the attributes that protobuf cannot hold: integers beyond 64 bits, text
 * with lone surrogates, and what nests deeper than TC_RECORD_MAX_DEPTH. */
tc_status tc_otlp_request(tc_bytes *out, const tc_batch *batch, uint32_t first, uint32_t n,
                          const tc_otlp_names *names, uint64_t *n_lost_attributes);

/* Appends the items' attributes as repeated KeyValue in `field`: for resources
 * and scopes, which are encoded once. */
tc_status tc_otlp_attributes(tc_bytes *out, uint32_t field, const uint8_t *items, uint64_t n_bytes,
                             const tc_strings *strings, uint64_t *n_lost_attributes);

#endif
