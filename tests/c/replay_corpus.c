/* replay_corpus: the fuzz target without a fuzzer.
 *
 *     replay_corpus <directory> [seconds [seed]]
 *
 * Runs every file of the directory, then for that long what repeatable mutations
 * make of them. An input that fails is left in ./failed-input, to be added to the
 * corpus together with the fix.
 */
#include "check.h"

#include <dirent.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where a sanitizer is linked in, it says before it ends the process. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

#define MAX_FILES 1024
#define MAX_BYTES 65536

typedef struct input {
    uint8_t *data;
    size_t n;
} input;

static input files[MAX_FILES], running;
static size_t n_files;

static void keep_failed_input(void) {
    FILE *file = running.data != NULL ? fopen("failed-input", "wb") : NULL;
    if (file == NULL) return;
    fwrite(running.data, 1, running.n, file);
    fclose(file);
}

/* In a block of exactly its size, so that a byte read beyond it is seen. */
static void run(const uint8_t *data, size_t n) {
    running = (input){malloc(n != 0 ? n : 1), n};
    memcpy(running.data, data, n);
    LLVMFuzzerTestOneInput(running.data, n);
    free(running.data);
    running.data = NULL;
}

static void load(const char *directory) {
    DIR *d = opendir(directory);
    CHECK(d != NULL);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        FILE *file = fopen(path, "rb");
        CHECK(file != NULL && n_files < MAX_FILES);
        input *to = &files[n_files++];
        to->data = malloc(MAX_BYTES);
        to->n = fread(to->data, 1, MAX_BYTES, file);
        fclose(file);
    }
    closedir(d);
}

static int compare(const void *a, const void *b) { /* a directory has no order: seeds must */
    const input *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return memcmp(x->data, y->data, x->n);
}

/* One change to the n bytes at `data`; answers how many there are then. */
static size_t mutate(uint8_t *data, size_t n, uint64_t *state) {
    static const uint32_t words[] = {0, 1, 4, 8, 12, 32, 0x7f, 0x80, 0xff, 0x100, 0x7fffffff, 0x80000000, 0xffffffff};
    uint64_t r = check_random(state);
    size_t at = n != 0 ? (r >> 32) % n : 0, length = 1 + (r >> 16) % 32;
    const input *other = &files[check_random(state) % n_files];
    switch (r % 8) {
    case 0: /* a bit */
        if (n != 0) data[at] ^= (uint8_t)(1u << (r >> 8 & 7));
        return n;
    case 1: /* a byte */
        if (n != 0) data[at] = (uint8_t)(r >> 8);
        return n;
    case 2: /* a type */
        if (n != 0) data[at] = (uint8_t)(r >> 8 & 0x3f);
        return n;
    case 3: /* a length */
    case 4:
        if (n < 4) return n;
        if (at > n - 4) at = n - 4;
        uint32_t word = r % 8 == 3 ? words[(r >> 8) % (sizeof words / sizeof *words)] : (uint32_t)(n - at - 4);
        memcpy(data + at, &word, 4);
        return n;
    case 5: /* cut out */
        if (length > n - at) length = n - at;
        memmove(data + at, data + at + length, n - at - length);
        return n - length;
    case 6: /* repeat */
        if (length > n - at) length = n - at;
        if (n + length > MAX_BYTES) return n;
        memmove(data + at + length, data + at, n - at);
        return n + length;
    default: /* go on as another */
        if (other->n > at) {
            memcpy(data + at, other->data + at, other->n - at);
            return other->n;
        }
        return at;
    }
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    double seconds = argc > 2 ? atof(argv[2]) : 0;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1, state = seed, n_runs = 0;
    atexit(keep_failed_input);
    if (__sanitizer_set_death_callback != NULL) __sanitizer_set_death_callback(keep_failed_input);
    load(argv[1]);
    CHECK(n_files != 0);
    qsort(files, n_files, sizeof *files, compare);
    for (size_t i = 0; i < n_files; i++) run(files[i].data, files[i].n);

    static uint8_t data[MAX_BYTES];
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        const input *from = &files[check_random(&state) % n_files];
        size_t n = from->n;
        memcpy(data, from->data, n);
        for (uint64_t changes = 1 + check_random(&state) % 8; changes-- > 0;) n = mutate(data, n, &state);
        run(data, n);
        n_runs++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    printf("%zu files and %llu mutations of them, seed %llu\n", n_files, (unsigned long long)n_runs,
           (unsigned long long)seed);
    for (size_t i = 0; i < n_files; i++) free(files[i].data);
    return 0;
}
