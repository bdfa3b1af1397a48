/* HEVC keyframes at a cut.
 *
 * A keyframe that begins an open group of pictures (CRA) counts its pictures on from those before
 * it: behind another input's, decoders would find the same numbers twice. The standard's name for
 * the same picture at a splice is BLA, broken link access (ITU-T H.265, 3.13); the syntax is the
 * same but for the type of its units. */

#include "hevc_cut.h"

enum { BLA_W_RADL = 17, CRA = 21 };

int hevc_break_link(AVPacket *packet) {
    uint32_t last = 0xffffffff;
    for (int at = 0; at < packet->size; at++) {
        uint8_t byte = packet->data[at];
        if ((last & 0xffffff) == 1 && (byte >> 1 & 0x3f) == CRA) {
            int error = av_packet_make_writable(packet);
            if (error < 0)
                return error;
            packet->data[at] = (uint8_t)((byte & 0x81) | BLA_W_RADL << 1);
        }
        last = last << 8 | byte;
    }
    return 0;
}
