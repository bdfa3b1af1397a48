/* The numbers of the timeline's documentation (src/timeline.rs), and eyes on transport packets
 * that are made by hand. */
#include "check.h"

static changeover_engine engine;

#define MAPS_TO(cut, track, base, dts_in, pts_in, lasts, dts_out, pts_out)                        \
    do {                                                                                          \
        changeover_stamps in_ = changeover_stamps_of(dts_in, pts_in, lasts);                      \
        changeover_stamps out_ = changeover_stamps_init();                                        \
        EQUAL(changeover_timeline_map(timeline, cut, track, base, &in_, &out_), CHANGEOVER_MAPPED_AT); \
        EQUAL(out_.dts, dts_out);                                                                 \
        EQUAL(out_.pts, pts_out);                                                                 \
    } while (0)

static void an_ffmpeg_host(void) {
    changeover_timeline_options options = changeover_timeline_options_init();
    options.output = (changeover_timebase){1, 90000, 0};
    const changeover_timebase main = {1, 90000, 0}, backup = {1, 1000, 0};
    changeover_timeline timeline;
    OK(changeover_timeline_open(engine, &options, &timeline));
    MAPS_TO(1, 0, main, 1800000, 1803600, 3600, 1800000, 1803600);
    MAPS_TO(2, 0, backup, 0, 40, 40, 1803600, 1807200);
    MAPS_TO(2, 0, backup, CHANGEOVER_NO_TIMESTAMP, 80, 0, 1807200, 1810800);
    changeover_stamps late = changeover_stamps_of(1803600, 1807200, 0), out = late;
    EQUAL(changeover_timeline_map(timeline, 1, 0, main, &late, &out), CHANGEOVER_MAPPED_STALE);
    CHECK(out.dts == 1803600 && out.pts == 1807200);
    late = changeover_stamps_of(CHANGEOVER_NO_TIMESTAMP, CHANGEOVER_NO_TIMESTAMP, 0);
    EQUAL(changeover_timeline_map(timeline, 2, 0, main, &late, &out), CHANGEOVER_MAPPED_UNTIMED);
    /* Into the struct that it came from. */
    late = changeover_stamps_of(120, 160, 40);
    EQUAL(changeover_timeline_map(timeline, 2, 0, backup, &late, &late), CHANGEOVER_MAPPED_AT);
    CHECK(late.size == sizeof late && late.pts == 1818000 && late.duration == 3600);
    OK(changeover_timeline_close(timeline));
}

static void a_transport_stream(void) {
    const changeover_timebase ts = {1, 90000, 33};
    const int64_t top = (INT64_C(1) << 33) - 1;
    changeover_timeline timeline;
    OK(changeover_timeline_open(engine, NULL, &timeline));
    int64_t pcr = 77;
    EQUAL(changeover_timeline_pcr(timeline, 1, 1, 5, &pcr), 0);
    EQUAL(pcr, 77);
    MAPS_TO(1, 0x100, ts, CHANGEOVER_NO_TIMESTAMP, top - 3600, 0, top - 3600, top - 3600);
    MAPS_TO(1, 0x100, ts, CHANGEOVER_NO_TIMESTAMP, top, 0, top, top);
    MAPS_TO(2, 0x100, ts, CHANGEOVER_NO_TIMESTAMP, 55000, 0, top + 3600, top + 3600);
    const int64_t wrap = INT64_C(1) << 33;
    EQUAL(changeover_timeline_pcr(timeline, 2, 1, (55000 - 45000) * 300 + 7, &pcr), 1);
    EQUAL(pcr, (top + 3600 - 45000) * 300 + 7);
    EQUAL(changeover_timeline_pcr(timeline, 2, 0, 55000 - 45000, &pcr), 1);
    EQUAL(pcr, (top + 3600 - 45000) % wrap);
    EQUAL(changeover_timeline_pcr(timeline, 1, 0, 5, &pcr), 0);
    /* The input connects anew: its clock goes on where the output stands, under the same cut. */
    OK(changeover_timeline_restart(timeline));
    changeover_stamps in = changeover_stamps_of(7, 7, 3600), out = changeover_stamps_init();
    EQUAL(changeover_timeline_map(timeline, 2, 0x100, ts, &in, &out), CHANGEOVER_MAPPED_AT);
    CHECK(out.dts > top + 3600 && out.dts <= top + 3 * 3600);
    OK(changeover_timeline_close(timeline));
    /* A start of one's own. */
    changeover_timeline_options options = changeover_timeline_options_init();
    options.has_start = 1;
    options.start_dts = 1000;
    OK(changeover_timeline_open(engine, &options, &timeline));
    MAPS_TO(1, 0, ts, 500000, 503600, 3600, 1000, 4600);
    OK(changeover_timeline_close(timeline));
}

/* --- Eyes --- */

static uint8_t packet[188];

/* A transport packet of this PID with these bytes of payload; the rest is stuffed before it. */
static void ts(unsigned pid, int start, int counter, const uint8_t *payload, size_t length,
               int64_t pcr, int random_access) {
    memset(packet, 0xFF, sizeof packet);
    size_t stuffing = 184 - length;
    packet[0] = 0x47;
    packet[1] = (uint8_t)((start ? 0x40 : 0) | pid >> 8);
    packet[2] = (uint8_t)pid;
    packet[3] = (uint8_t)((stuffing ? 0x30 : 0x10) | (counter & 15));
    if (stuffing > 0)
        packet[4] = (uint8_t)(stuffing - 1);
    if (stuffing > 1)
        packet[5] = (uint8_t)((random_access ? 0x40 : 0) | (pcr >= 0 ? 0x10 : 0));
    if (pcr >= 0) {
        int64_t base = pcr / 300, extension = pcr % 300;
        packet[6] = (uint8_t)(base >> 25);
        packet[7] = (uint8_t)(base >> 17);
        packet[8] = (uint8_t)(base >> 9);
        packet[9] = (uint8_t)(base >> 1);
        packet[10] = (uint8_t)((base & 1) << 7 | 0x7E | extension >> 8);
        packet[11] = (uint8_t)extension;
    }
    if (length > 0)
        memcpy(packet + 4 + stuffing, payload, length);
}

static uint32_t crc32(const uint8_t *bytes, size_t length) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++)
        for (int bit = 7; bit >= 0; bit--)
            crc = crc << 1 ^ (((crc >> 31) ^ (bytes[i] >> bit & 1u)) & 1u ? 0x04C11DB7u : 0);
    return crc;
}

static void table(unsigned pid, int counter, uint8_t *section, size_t length) {
    uint32_t crc = crc32(section + 1, length - 5);
    for (int i = 0; i < 4; i++)
        section[length - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    ts(pid, 1, counter, section, length, -1, 0);
}

static changeover_sight look(changeover_eyes eyes, const uint8_t *bytes, size_t length) {
    changeover_sight sight = changeover_sight_init();
    int32_t media = changeover_eyes_look(eyes, bytes, length, &sight);
    OK(media);
    EQUAL(media, sight.media_len > 0);
    EQUAL(sight.size, sizeof sight);
    return sight;
}

static void a_keyframe(void) {
    /* pointer, PAT: programme 1 at PID 0x1000; PMT: H.264 at PID 0x100, which has the PCR. */
    uint8_t pat[] = {0, 0x00, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xF0, 0x00, 0, 0, 0, 0};
    uint8_t pmt[] = {0, 0x02, 0xB0, 18, 0, 1, 0xC1, 0, 0, 0xE1, 0x00, 0xF0,
                     0, 0x1B, 0xE1, 0x00, 0xF0, 0, 0, 0, 0, 0};
    /* PES with PTS 126000 and DTS 122400, an IDR slice in it. */
    const uint8_t pes[] = {0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 10, 0x31, 0x00, 0x07, 0xD8, 0x61,
                           0x11, 0x00, 0x07, 0xBC, 0x41, 0, 0, 0, 1, 0x09, 0x10,
                           0, 0, 0, 1, 0x65, 0x88, 0x84, 0x00, 0x10};
    changeover_eyes eyes;
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &eyes));
    table(0, 0, pat, sizeof pat);
    EQUAL(look(eyes, packet, sizeof packet).packet.bytes, 188);
    table(0x1000, 0, pmt, sizeof pmt);
    look(eyes, packet, sizeof packet);
    const int64_t pcr = INT64_C(100000) * 300 + 17;
    ts(0x100, 1, 0, pes, sizeof pes, pcr, 1);
    changeover_sight sight = look(eyes, packet, sizeof packet);
    EQUAL(sight.packet.keyframe, 1);
    EQUAL(sight.packet.frames, 1);
    EQUAL(sight.packet.tracks, CHANGEOVER_TRACK_VIDEO);
    EQUAL(sight.packet.lost, 0);
    EQUAL(sight.continuity_errors, 0);
    EQUAL(sight.fields,
          CHANGEOVER_SIGHT_HAS_PCR | CHANGEOVER_SIGHT_HAS_PTS | CHANGEOVER_SIGHT_HAS_DTS);
    EQUAL(sight.pcr, pcr);
    EQUAL(sight.pts, 126000);
    EQUAL(sight.dts, 122400);
    EQUAL(sight.media_offset, 0);
    EQUAL(sight.media_len, 188);
    /* The counter jumps from 0 to 5. */
    ts(0x100, 0, 5, pes, 20, -1, 0);
    sight = look(eyes, packet, sizeof packet);
    EQUAL(sight.continuity_errors, 1);
    EQUAL(sight.packet.keyframe, 0);
    /* In RTP: number 7, time 99; then number 9. */
    uint8_t rtp[12 + 188] = {0x80, 33, 0, 7, 0, 0, 0, 99, 1, 2, 3, 4};
    changeover_eyes others;
    OK(changeover_eyes_open(engine, CHANGEOVER_EYES_MPEGTS, &others));
    table(0, 0, pat, sizeof pat);
    memcpy(rtp + 12, packet, 188);
    sight = look(others, rtp, sizeof rtp);
    EQUAL(sight.fields, CHANGEOVER_SIGHT_HAS_RTP);
    EQUAL(sight.rtp_seq, 7);
    EQUAL(sight.rtp_timestamp, 99);
    EQUAL(sight.media_offset, 12);
    EQUAL(sight.media_len, 188);
    /* Not media: nothing of it is kept. */
    EQUAL(look(others, (const uint8_t *)"hello, world", 12).media_len, 0);
    OK(changeover_eyes_close(others));
    OK(changeover_eyes_close(eyes));
}

/* Any bytes get an answer. */
static void garbage(int rounds) {
    uint64_t state = 4711;
    uint8_t bytes[2000];
    for (uint32_t format = 0; format < 3; format++) {
        changeover_eyes eyes;
        OK(changeover_eyes_open(engine, format, &eyes));
        for (int i = 0; i < rounds; i++) {
            size_t length = next_random(&state) % sizeof bytes;
            for (size_t k = 0; k < length; k += 8) {
                uint64_t some = next_random(&state);
                memcpy(bytes + k, &some, length - k < 8 ? length - k : 8);
            }
            for (size_t k = 0; k < length && i % 2; k += 188)
                bytes[k] = 0x47;
            if (i % 3 == 0 && length > 2) {
                bytes[0] = 0x80;
                bytes[1] = 33;
            }
            changeover_sight sight = changeover_sight_init();
            OK(changeover_eyes_look(eyes, bytes, length, &sight));
            CHECK(sight.media_offset + sight.media_len <= length);
        }
        OK(changeover_eyes_close(eyes));
    }
}

int main(void) {
    engine = by_hand(NULL, NULL, NULL);
    an_ffmpeg_host();
    a_transport_stream();
    a_keyframe();
    garbage(20000);
    OK(changeover_engine_destroy(engine, NULL));
    puts("timeline, eyes: ok");
    return 0;
}
