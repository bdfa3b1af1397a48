/*
 * Init functions: everything 0, but the size.
 */
#define CHANGEOVER_INIT_(type)                   \
    static inline type type##_init(void) {       \
        type value;                              \
        memset(&value, 0, sizeof value);         \
        value.size = sizeof value;               \
        return value;                            \
    }

@INITS@
#undef CHANGEOVER_INIT_

/* A packet of so many bytes, of which nothing else is known. */
static inline changeover_packet changeover_packet_of(size_t bytes) {
    changeover_packet packet;
    memset(&packet, 0, sizeof packet);
    packet.bytes = bytes > UINT32_MAX ? UINT32_MAX : bytes & UINT32_MAX;
    return packet;
}

/* Times of a packet; CHANGEOVER_NO_TIMESTAMP where there is none. */
static inline changeover_stamps changeover_stamps_of(int64_t dts, int64_t pts, int64_t duration) {
    changeover_stamps stamps = changeover_stamps_init();
    stamps.dts = dts;
    stamps.pts = pts;
    stamps.duration = duration;
    return stamps;
}
