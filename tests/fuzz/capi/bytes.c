/* The input as numbers, texts and memory. */
#include "fuzz.h"

static const uint8_t *at, *end;

void bytes_begin(const uint8_t *from, size_t len) {
    at = from;
    end = from + len;
}

size_t bytes_left(void) {
    return (size_t)(end - at);
}

uint8_t byte(void) {
    return at < end ? *at++ : 0;
}

unsigned below(unsigned limit) {
    return byte() % limit;
}

uint64_t word(void) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | byte();
    return value;
}

int64_t number(void) {
    static const int64_t edges[] = {
        0, 1, -1, 2, 3, 7, 100, 1000, 1316, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN,
        INT64_MAX / 1000000, INT64_MAX / 1000000 + 1, INT64_C(1) << 33, INT64_C(1) << 61, -1000,
    };
    uint8_t how = byte();
    if (how < 160)
        return edges[how % (sizeof edges / sizeof *edges)];
    if (how < 230)
        return (int64_t)byte() << (how & 7);
    return (int64_t)word();
}

uint64_t number_u(void) {
    return (uint64_t)number();
}

/* Flags and the like: mostly 0 to 3. */
uint32_t small(void) {
    uint8_t how = byte();
    return how < 250 ? how & 3 : (uint32_t)number();
}

int64_t milliseconds(void) {
    static const int64_t usual[] = {0, 0, 0, 1, 20, 100, 200, 1000, 3000, 30000};
    uint8_t how = byte();
    return how < 230 ? usual[how % 10] : number();
}

double real(void) {
    static const double edges[] = {0.0, -0.0, 1.0, -1.0, 100.0, 100.5, 1e308, 5e-324, 1000.0, 500.0};
    uint8_t how = byte();
    if (how < 128)
        return 0.0;
    if (how < 250)
        return how < 240 ? (double)byte() : edges[how - 240];
    uint64_t bits = word();
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* --- Memory --- */

static void *kept[512];
static unsigned kept_count;

void *scratch(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (memory == NULL || kept_count == sizeof kept / sizeof *kept)
        broken("scratch", "the harness itself", (int64_t)size);
    kept[kept_count++] = memory;
    return memory;
}

void sweep(void) {
    while (kept_count > 0)
        free(kept[--kept_count]);
}

static const char *copy_of(const char *from, size_t len) {
    char *copy = scratch(len + 1);
    memcpy(copy, from, len);
    return copy;
}

const char *text(void) {
    static const char *const texts[] = {
        "", "news", "a", "udp://main", "black", "\xff\xfe", "a\nb", "\xc3", "\x7f", "kan\xc3\xa1l",
    };
    uint8_t how = byte();
    if (how < 160)
        return copy_of(texts[how % 10], strlen(texts[how % 10]));
    if (how < 180) {
        /* Up to and beyond the longest id. */
        unsigned len = how < 170 ? 128u + (how & 1u) : byte();
        char *copy = scratch(len + 1u);
        memset(copy, how & 2 ? 'x' : '\xe9', len);
        return copy;
    }
    unsigned len = below(64);
    char *copy = scratch(len + 1u);
    for (unsigned i = 0; i < len; i++)
        copy[i] = (char)byte();
    /* It ends at its first 0: exactly so much memory. */
    return copy_of(copy, strlen(copy));
}

const char *id(void) {
    static const char *const ids[] = {"news", "cold", "sport"};
    uint8_t how = byte();
    if (how < 236)
        return copy_of(ids[how % 3], strlen(ids[how % 3]));
    return how < 240 ? NULL : text();
}

const char *maybe(const char *what) {
    return byte() < 32 ? NULL : what;
}

int32_t priority(void) {
    uint8_t how = byte();
    return how < 240 ? how & 3 : (int32_t)number();
}

/* --- Structs that begin with their size --- */

/* What is asked for beyond the plain size. */
static size_t some_size(size_t size) {
    static const size_t sizes[] = {0, 1, 7, 8, 9, 16, 4095, 4096, 4097, SIZE_MAX, SIZE_MAX / 2};
    uint8_t how = byte();
    if (how < 216)
        return size;
    if (how < 226)
        return size + (how - 215u) * 8;
    if (how < 236)
        return size - (how - 225u);
    return how < 247 ? sizes[how - 236] : (size_t)number_u();
}

/* A struct of an absurd size is refused for its size, and nothing else of it is looked at. */
static size_t bytes_of(size_t size) {
    return size < sizeof(size_t) ? sizeof(size_t) : size > 4096 ? sizeof(size_t) : size;
}

void *sized(const void *proto, size_t size) {
    size_t says = some_size(size), has = bytes_of(says);
    uint8_t *copy = scratch(has);
    memcpy(copy, proto, size < has ? size : has);
    memcpy(copy, &says, sizeof says);
    /* What the library does not know of must be zero. */
    if (has > size && byte() < 64)
        copy[size + below((unsigned)(has - size < 256 ? has - size : 256))] = byte();
    return copy;
}

void *room(size_t size) {
    size_t says = some_size(size), has = bytes_of(says);
    uint8_t *out = scratch(has);
    memset(out, 0x5a, has);
    memcpy(out, &says, sizeof says);
    return byte() < 8 ? NULL : out;
}
