/* tc_batch: records copied out of a ring, within bounds, and out of another batch. */
#include "check.h"
#include "faults.h"
#include "tc_batch.h"
#include "tc_record.h"

static uint8_t record[40000];

static const uint8_t *make(uint32_t number, uint32_t length) {
    tc_header header = {.length = length};
    memcpy(record, &header, sizeof header);
    memset(record + sizeof header, (int)number, length - sizeof header);
    return record;
}

static void check_record(const tc_batch *b, uint32_t i, uint32_t number, uint32_t length) {
    CHECK(i < b->n);
    const uint8_t *view = tc_batch_record_view(b, i);
    CHECK(((uintptr_t)view & 15) == 0 && tc_load_u32(view) == length);
    CHECK(view[offsetof(tc_header, type)] == TC_RECORD_SPAN);
    for (uint32_t at = sizeof(tc_header); at < length; at++) CHECK(view[at] == (uint8_t)number);
}

static void put(tc_ring *r, uint32_t from, uint32_t to, uint32_t length) {
    for (uint32_t i = from; i < to; i++) CHECK(tc_ring_put_spsc(r, make(i, length)) == TC_OK);
}

static void a_batch_takes_what_is_there_up_to_its_number(void) {
    tc_ring *r = tc_ring_new(TC_RING_MIN_BYTES);
    tc_batch b;
    tc_batch_init(&b);
    CHECK(tc_batch_take(&b, r, 10, UINT64_MAX) == TC_OK && b.n == 0 && b.bytes == NULL);
    put(r, 0, 5, 100);
    CHECK(tc_batch_take(&b, r, 0, UINT64_MAX) == TC_OK && b.n == 0);
    CHECK(tc_batch_take(&b, r, 3, UINT64_MAX) == TC_OK && b.n == 3 && r->n_taken == 3);
    CHECK(tc_batch_take(&b, r, 10, UINT64_MAX) == TC_OK && b.n == 5 && r->n_taken == 5);
    CHECK(b.n_bytes == 5 * 112);
    for (uint32_t i = 0; i < 5; i++) check_record(&b, i, i, 100);
    tc_batch_clear(&b);
    tc_batch_clear(&b);
    CHECK(b.n == 0 && b.n_bytes == 0 && b.bytes == NULL && b.offsets == NULL);
    put(r, 5, 6, 100);
    CHECK(tc_batch_take(&b, r, 1, UINT64_MAX) == TC_OK); /* usable again */
    check_record(&b, 0, 5, 100);
    tc_batch_clear(&b);
    tc_ring_free(r);
}

static void a_batch_stops_once_it_holds_its_bytes_but_takes_one_at_least(void) {
    tc_ring *r = tc_ring_new(TC_RING_MIN_BYTES);
    tc_batch b;
    tc_batch_init(&b);
    put(r, 0, 8, 160);
    CHECK(tc_batch_take(&b, r, 100, 0) == TC_OK && b.n == 1);
    CHECK(tc_batch_take(&b, r, 100, 160) == TC_OK && b.n == 2); /* held already: one more */
    CHECK(tc_batch_take(&b, r, 100, 160 * 4) == TC_OK && b.n == 4);
    CHECK(tc_batch_take(&b, r, 100, 160 * 5 + 1) == TC_OK && b.n == 6); /* reaches beyond by less than one */
    CHECK(r->n_taken == 6);
    tc_batch_clear(&b);
    CHECK(tc_batch_take(&b, r, 100, UINT64_MAX) == TC_OK && b.n == 2);
    check_record(&b, 0, 6, 160);
    tc_batch_clear(&b);
    tc_ring_free(r);
}

static void records_stay_while_the_ring_is_used_again(void) {
    tc_ring *r = tc_ring_new(TC_RING_MIN_BYTES);
    tc_batch b;
    tc_batch_init(&b);
    for (uint32_t lap = 0; lap < 20; lap++) {
        for (uint32_t i = 0; i < 40; i++) CHECK(tc_ring_put_spsc(r, make(lap * 40 + i, 81 + i)) == TC_OK);
        CHECK(tc_ring_put_spsc(r, make(lap, 30000)) == TC_OK); /* travels by address */
        CHECK(tc_batch_take(&b, r, 1000, UINT64_MAX) == TC_OK);
    }
    CHECK(b.n == 20 * 41 && r->indirect_bytes == 0);
    for (uint32_t lap = 0; lap < 20; lap++) {
        for (uint32_t i = 0; i < 40; i++) check_record(&b, lap * 41 + i, lap * 40 + i, 81 + i);
        check_record(&b, lap * 41 + 40, lap, 30000);
    }
    tc_batch_clear(&b);
    tc_ring_free(r);
}

/* Enough to grow both arrays twice; what does not fit stays in the ring. */
static void without_memory_what_was_moved_is_kept_and_the_rest_waits(void) {
    long held = faults_n_held();
    for (long n = 0;; n++) {
        tc_ring *r = tc_ring_new(1u << 20);
        tc_batch b;
        tc_batch_init(&b);
        put(r, 0, 600, 1000);
        faults_fail_after(n);
        tc_status status = tc_batch_take(&b, r, UINT32_MAX, UINT64_MAX);
        bool failed = faults_stop();
        CHECK(status == (failed ? TC_NO_MEMORY : TC_OK));
        CHECK(b.n == r->n_taken && b.n + tc_ring_n_waiting(r) == 600);
        CHECK((b.n == 600) == !failed);
        CHECK(tc_batch_take(&b, r, UINT32_MAX, UINT64_MAX) == TC_OK && b.n == 600);
        for (uint32_t i = 0; i < 600; i++) check_record(&b, i, i, 1000);
        tc_batch_clear(&b);
        tc_ring_free(r);
        CHECK(faults_n_held() == held);
        if (!failed) {
            CHECK(n >= 6);
            return;
        }
    }
}

static void a_copy_of_some_records_outlives_their_batch(void) {
    tc_ring *r = tc_ring_new(TC_RING_MIN_BYTES);
    tc_batch b, copy;
    tc_batch_init(&b);
    tc_batch_init(&copy);
    put(r, 0, 10, 100);
    CHECK(tc_batch_take(&b, r, 10, UINT64_MAX) == TC_OK);
    CHECK(tc_batch_copy(&copy, &b, 3, 4) == TC_OK && copy.n == 4);
    CHECK(tc_batch_copy(&copy, &b, 8, UINT32_MAX) == TC_OK && copy.n == 6);
    CHECK(tc_batch_copy(&copy, &b, 10, 1) == TC_OK && copy.n == 6);
    tc_batch_clear(&b);
    static const uint32_t numbers[] = {3, 4, 5, 6, 8, 9};
    for (uint32_t i = 0; i < 6; i++) check_record(&copy, i, numbers[i], 100);
    tc_batch_clear(&copy);

    put(r, 0, 2, 100);
    CHECK(tc_batch_take(&b, r, 2, UINT64_MAX) == TC_OK);
    faults_fail_after(0);
    CHECK(tc_batch_copy(&copy, &b, 0, 2) == TC_NO_MEMORY && copy.n == 0);
    CHECK(faults_stop());
    tc_batch_clear(&copy);
    tc_batch_clear(&b);
    tc_ring_free(r);
}

int main(void) {
    a_batch_takes_what_is_there_up_to_its_number();
    a_batch_stops_once_it_holds_its_bytes_but_takes_one_at_least();
    records_stay_while_the_ring_is_used_again();
    without_memory_what_was_moved_is_kept_and_the_rest_waits();
    a_copy_of_some_records_outlives_their_batch();
    CHECK(faults_n_held() == 0);
    return 0;
}
