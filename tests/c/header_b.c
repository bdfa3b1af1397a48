/* The other translation unit of header_a.c. */
#include <changeover.h>

changeover_packet half(void);

changeover_packet half(void) {
    return changeover_packet_of((size_t)-1);
}
