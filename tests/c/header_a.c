/* The header alone, first in its file, twice, with the warnings of strict hosts; the other half
 * is header_b.c. */
#include <changeover.h>
#include <changeover.h>

changeover_packet half(void);

int main(void) {
    changeover_packet one = half(), other = changeover_packet_of(1316);
    changeover_engine_config config = changeover_engine_config_init();
    changeover_stamps stamps = changeover_stamps_of(1, CHANGEOVER_NO_TIMESTAMP, 3);
    struct changeover_event event = changeover_event_init();
    if (one.bytes != UINT32_MAX || other.bytes != 1316 || config.size != sizeof config)
        return 1;
    if (stamps.pts != INT64_MIN || event.size != sizeof event || event.detail[0] != 0)
        return 2;
    if (changeover_abi_version() != CHANGEOVER_ABI_VERSION || CHANGEOVER_STALE - CHANGEOVER_STALE)
        return 3;
    return changeover_version() == CHANGEOVER_VERSION_NUMBER ? 0 : 4;
}
