/* What instrumented Rust calls and the thread sanitizer of gcc and clang does not have. */
#include <string.h>

void *__tsan_memcpy(void *to, const void *from, size_t count);
void *__tsan_memmove(void *to, const void *from, size_t count);
void *__tsan_memset(void *to, int byte, size_t count);

void *__tsan_memcpy(void *to, const void *from, size_t count) {
    return memcpy(to, from, count);
}

void *__tsan_memmove(void *to, const void *from, size_t count) {
    return memmove(to, from, count);
}

void *__tsan_memset(void *to, int byte, size_t count) {
    return memset(to, byte, count);
}
