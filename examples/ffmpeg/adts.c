/* ADTS headers of AAC packets (ISO/IEC 13818-7, 6.2): put on for MPEG-TS, taken off for containers
 * that keep the configuration elsewhere. FFmpeg has a bitstream filter for the latter, which knows
 * the configuration only when the first packet has come: too late to compare inputs. */

#include "adts.h"

#include <string.h>

enum { HEADER = 7, MAX_FRAME = (1 << 13) - 1 };

int adts_is_missing(const AVCodecParameters *codec) {
    return codec->codec_id == AV_CODEC_ID_AAC && codec->extradata_size >= 2;
}

static int has_header(const AVPacket *packet) {
    const uint8_t *data = packet->data;
    return packet->size >= HEADER && data[0] == 0xff && (data[1] & 0xf6) == 0xf0;
}

int adts_add(const AVCodecParameters *codec, AVPacket *packet) {
    if (has_header(packet))
        return 0;
    /* AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): 5 bits object type, 4 bits index of the
     * sampling frequency, 4 bits channel configuration. ADTS has two bits for the object type. */
    unsigned config = (unsigned)codec->extradata[0] << 8 | codec->extradata[1];
    unsigned object = config >> 11, rate = config >> 7 & 15, channels = config >> 3 & 15;
    if (object == 5 || object == 29) {
        /* SBR or PS on top of LC: a decoder finds them by itself. The index is the core's. */
        object = 2;
    }
    unsigned length = (unsigned)packet->size + HEADER;
    if (object < 1 || object > 4 || rate > 12 || channels < 1 || channels > 7 ||
        length > MAX_FRAME)
        return AVERROR_PATCHWELCOME;
    AVPacket *framed = av_packet_alloc();
    int error = framed ? av_new_packet(framed, (int)length) : AVERROR(ENOMEM);
    if (error >= 0)
        error = av_packet_copy_props(framed, packet);
    if (error < 0) {
        av_packet_free(&framed);
        return error;
    }
    uint8_t *header = framed->data;
    header[0] = 0xff; /* sync word, MPEG-4, layer 0, no CRC */
    header[1] = 0xf1;
    header[2] = (uint8_t)((object - 1) << 6 | rate << 2 | channels >> 2);
    header[3] = (uint8_t)((channels & 3) << 6 | length >> 11);
    header[4] = (uint8_t)(length >> 3);
    header[5] = (uint8_t)(length << 5 | 0x1f); /* buffer fullness: not said */
    header[6] = 0xfc;                          /* one block of samples */
    memcpy(header + HEADER, packet->data, (size_t)packet->size);
    av_packet_unref(packet);
    av_packet_move_ref(packet, framed);
    av_packet_free(&framed);
    return 0;
}

int adts_configure(AVCodecParameters *codec) {
    static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                22050, 16000, 12000, 11025, 8000,  7350};
    unsigned rate = 0, channels = (unsigned)codec->ch_layout.nb_channels;
    while (rate < 13 && rates[rate] != codec->sample_rate)
        rate++;
    if (codec->codec_id != AV_CODEC_ID_AAC || codec->extradata_size > 0 ||
        codec->profile != FF_PROFILE_AAC_LOW || rate == 13 || channels < 1 || channels > 6)
        return 0;
    codec->extradata = av_mallocz(2 + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!codec->extradata)
        return AVERROR(ENOMEM);
    unsigned config = 2u << 11 | rate << 7 | channels << 3;
    codec->extradata[0] = (uint8_t)(config >> 8);
    codec->extradata[1] = (uint8_t)config;
    codec->extradata_size = 2;
    return 1;
}

void adts_strip(AVPacket *packet) {
    if (!has_header(packet))
        return;
    int header = packet->data[1] & 1 ? HEADER : HEADER + 2; /* with a CRC */
    packet->data += FFMIN(header, packet->size);
    packet->size -= FFMIN(header, packet->size);
}

int adts_is_same(const AVCodecParameters *a, const AVCodecParameters *b) {
    if (!adts_is_missing(a) || !adts_is_missing(b))
        return a->extradata_size == b->extradata_size;
    return a->extradata[0] == b->extradata[0] &&
           (a->extradata[1] & 0xf8) == (b->extradata[1] & 0xf8);
}
