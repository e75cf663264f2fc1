/* tc_batch: records copied out of a ring, within bounds. */
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

/* ---- changing a batch ------------------------------------------------------- */

static void fill(tc_batch *b, uint32_t n, uint32_t length) {
    tc_batch_init(b);
    for (uint32_t i = 0; i < n; i++) CHECK(tc_batch_append(b, make(i, length)) == TC_OK);
}

static void removed_records_are_gone_once_settled_and_the_order_stays(void) {
    tc_batch b;
    fill(&b, 10, 100);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK(!tc_batch_is_removed(&b, i));
        if (i % 3 == 0) tc_batch_remove(&b, i); /* 0 3 6 9 */
        CHECK(tc_batch_is_removed(&b, i) == (i % 3 == 0));
    }
    CHECK(b.n == 10);
    CHECK(tc_batch_settle(&b) == 4 && b.n == 6);
    CHECK(tc_batch_settle(&b) == 0 && b.n == 6);
    uint32_t left[] = {1, 2, 4, 5, 7, 8};
    for (uint32_t i = 0; i < 6; i++) check_record(&b, i, left[i], 100);
    CHECK(tc_batch_append(&b, make(77, 200)) == TC_OK);
    check_record(&b, 6, 77, 200);
    for (uint32_t i = 0; i < 7; i++) tc_batch_remove(&b, i);
    CHECK(tc_batch_settle(&b) == 7 && b.n == 0);
    CHECK(tc_batch_settle(&b) == 0);
    CHECK(tc_batch_append(&b, make(5, 81)) == TC_OK);
    check_record(&b, 0, 5, 81);
    tc_batch_clear(&b);
}

static void a_record_is_replaced_by_a_shorter_and_by_a_longer_one(void) {
    tc_batch b;
    fill(&b, 5, 100);
    uint64_t n_bytes = b.n_bytes;
    CHECK(tc_batch_replace(&b, 1, make(101, 90)) == TC_OK);
    CHECK(tc_batch_replace(&b, 2, make(102, 112)) == TC_OK); /* fits: lengths are rounded up to 16 */
    CHECK(b.n_bytes == n_bytes);
    CHECK(tc_batch_replace(&b, 3, make(103, 113)) == TC_OK);
    CHECK(b.n_bytes == n_bytes + 128);
    CHECK(tc_batch_replace(&b, 3, make(104, 30000)) == TC_OK);
    CHECK(tc_batch_replace(&b, 3, make(105, 30000)) == TC_OK); /* in its new place */
    CHECK(b.n_bytes == n_bytes + 128 + 30000);
    check_record(&b, 0, 0, 100);
    check_record(&b, 1, 101, 90);
    check_record(&b, 2, 102, 112);
    check_record(&b, 3, 105, 30000);
    check_record(&b, 4, 4, 100);
    CHECK(b.n == 5);
    tc_batch_clear(&b);
}

/* The batch may move its bytes in the middle: the record must be found again. */
static void a_record_of_the_batch_itself_can_be_appended_and_put_in_anothers_place(void) {
    tc_batch b;
    fill(&b, 2, 100);
    CHECK(tc_batch_append(&b, make(2, 5000)) == TC_OK);
    for (uint32_t i = 0; i < 100; i++) CHECK(tc_batch_append(&b, tc_batch_record_view(&b, 2)) == TC_OK);
    for (uint32_t i = 2; i < 103; i++) check_record(&b, i, 2, 5000);
    for (uint32_t i = 0; i < 2; i++) CHECK(tc_batch_replace(&b, i, tc_batch_record_view(&b, 50)) == TC_OK);
    CHECK(tc_batch_replace(&b, 1, tc_batch_record_view(&b, 1)) == TC_OK);
    for (uint32_t i = 0; i < 103; i++) check_record(&b, i, 2, 5000);
    tc_batch other;
    fill(&other, 1, 81);
    CHECK(tc_batch_replace(&b, 7, tc_batch_record_view(&other, 0)) == TC_OK);
    tc_batch_clear(&other);
    check_record(&b, 7, 0, 81);
    tc_batch_clear(&b);
}

static void a_record_changes_in_place(void) {
    tc_batch b;
    fill(&b, 3, 100);
    memset(tc_batch_record(&b, 1) + sizeof(tc_header), 9, 100 - sizeof(tc_header));
    check_record(&b, 0, 0, 100);
    check_record(&b, 1, 9, 100);
    check_record(&b, 2, 2, 100);
    tc_batch_clear(&b);
}

static void a_trimmed_batch_holds_its_records_and_nothing_else(void) {
    tc_batch b;
    fill(&b, 300, 100);
    CHECK(tc_batch_held_bytes(&b) > 300 * (112 + 8));
    tc_batch_trim(&b);
    CHECK(tc_batch_held_bytes(&b) == 300 * (112 + 8));
    for (uint32_t i = 0; i < 300; i++) check_record(&b, i, i, 100);

    for (uint32_t i = 0; i < 300; i++) /* what is left stands in any order */
        if (i % 3 == 0) tc_batch_remove(&b, i);
        else if (i % 3 == 1) CHECK(tc_batch_replace(&b, i, make(i + 1, 500)) == TC_OK);
    CHECK(tc_batch_settle(&b) == 100);
    tc_batch_trim(&b);
    CHECK(tc_batch_held_bytes(&b) == 100 * (512 + 8) + 100 * (112 + 8) && b.n_bytes == b.capacity);
    for (uint32_t i = 0; i < 100; i++) {
        check_record(&b, 2 * i, 3 * i + 2, 500);
        check_record(&b, 2 * i + 1, 3 * i + 2, 100);
    }
    CHECK(tc_batch_append(&b, make(1, 90)) == TC_OK); /* and grows again */
    check_record(&b, 200, 1, 90);
    check_record(&b, 199, 299, 100);
    for (uint32_t i = 0; i < b.n; i++) tc_batch_remove(&b, i);
    tc_batch_settle(&b);
    tc_batch_trim(&b);
    CHECK(tc_batch_held_bytes(&b) == 0);
    tc_batch_clear(&b);
}

static void without_memory_a_change_has_not_happened(void) {
    long held = faults_n_held();
    for (long n = 0;; n++) {
        tc_batch b;
        fill(&b, 256, 256); /* both arrays are full: each change below needs memory */
        CHECK(b.n_offsets == 256 && b.capacity == b.n_bytes);
        faults_fail_after(n);
        tc_status appended = tc_batch_append(&b, make(1, 30000));
        bool failed = faults_stop();
        CHECK(appended == (failed ? TC_NO_MEMORY : TC_OK) && b.n == (failed ? 256 : 257));
        faults_fail_after(n);
        tc_status replaced = tc_batch_replace(&b, 0, make(2, 39000));
        faults_stop();
        check_record(&b, 0, replaced == TC_OK ? 2 : 0, replaced == TC_OK ? 39000 : 256);
        faults_fail_after(n);
        tc_batch_trim(&b);
        bool kept = faults_stop();
        for (uint32_t i = 1; i < 256; i++) check_record(&b, i, i, 256);
        if (!failed) check_record(&b, 256, 1, 30000);
        tc_batch_clear(&b);
        CHECK(faults_n_held() == held);
        if (!failed && !kept) {
            CHECK(replaced == TC_OK && n >= 2);
            return;
        }
    }
}

int main(void) {
    removed_records_are_gone_once_settled_and_the_order_stays();
    a_record_is_replaced_by_a_shorter_and_by_a_longer_one();
    a_record_of_the_batch_itself_can_be_appended_and_put_in_anothers_place();
    a_record_changes_in_place();
    a_trimmed_batch_holds_its_records_and_nothing_else();
    without_memory_a_change_has_not_happened();
    a_batch_takes_what_is_there_up_to_its_number();
    a_batch_stops_once_it_holds_its_bytes_but_takes_one_at_least();
    records_stay_while_the_ring_is_used_again();
    without_memory_what_was_moved_is_kept_and_the_rest_waits();
    CHECK(faults_n_held() == 0);
    return 0;
}
