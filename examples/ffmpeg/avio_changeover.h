/* An AVIOContext that reads the best of several MPEG-TS inputs: failover for any program that
 * opens its input with FFmpeg.
 *
 *     before                                         after
 *     AVFormatContext *in = NULL;                    AVIOContext *io;
 *                                                    avio_changeover_open(&io, urls, count, NULL);
 *                                                    AVFormatContext *in = avformat_alloc_context();
 *                                                    avio_changeover_use(io, in);
 *     avformat_open_input(&in, url, NULL, NULL);     avformat_open_input(&in, NULL, NULL, NULL);
 *     while (av_read_frame(in, packet) >= 0)         while (av_read_frame(in, packet) >= 0)
 *                                                        if (avio_changeover_map(io, ...) > 0)
 *         use(packet);                                       use(packet);
 *     avformat_close_input(&in);                     avformat_close_input(&in);
 *                                                    avio_changeover_close(&io);
 *
 * What is read is one transport stream: the PIDs, tables and continuity counters are those of the
 * first input on the air, whichever input its packets come from. A switch falls between whole
 * pictures and begins with a keyframe, so that a decoder never sees half of one. The inputs'
 * clocks are not touched in the stream (PTS, DTS and PCR jump at a switch); avio_changeover_map
 * puts the times of a demuxed packet on one line.
 *
 * Inputs: anything that avio_open2 opens and that delivers MPEG-TS: UDP, SRT, TCP, HTTP, files. All
 * are read all the time (hot), each by a thread of its own, and are opened again when they fail.
 * Their tracks must agree by kind and order and in their codecs (the stream types of the PMT);
 * other inputs are refused. Picture sizes are not compared: the new parameter sets are in the
 * stream. Tables must fit one packet of 188 bytes each, as nearly all do.
 *
 * Not for RTP, scrambled streams, or several programmes: only the first one is passed on. */

#ifndef AVIO_CHANGEOVER_H
#define AVIO_CHANGEOVER_H

#include <changeover.h>
#include <libavformat/avformat.h>
#include <stddef.h>

/* 0 of anything means the default. */
typedef struct AVIOChangeoverOptions {
    int64_t timeout_ms;  /* silence that is a failure: 1000 */
    int64_t stable_ms;   /* a better input is taken back after so long without a gap: 5000 */
    int64_t cooldown_ms; /* ... and so long after the last switch: 12000 */
    size_t buffer_bytes; /* what may wait to be read: 4 MiB */
    /* Ends a read that waits, like AVFormatContext.interrupt_callback. Asked every 100 ms. */
    AVIOInterruptCB interrupt;
    /* What happens, on a thread of the engine (changeover_callbacks). */
    void (*on_event)(changeover_engine engine, const changeover_event *event, void *user_data);
    void *user_data;
} AVIOChangeoverOptions;

/* Starts reading the inputs; the first URL is the best. Everything is copied. Returns at once, and
 * does not wait for any input. 0, or an AVERROR with *io untouched (the log has more).
 *
 * Reading from *io blocks until an input delivers: for ever, if none does. It answers AVERROR_EXIT
 * when the interrupt callback says so, and never an end of the stream or an error of an input. A
 * reader that is too slow loses whole pictures, up to the next keyframe (buffer_bytes). It is for
 * one thread at a time, as every AVIOContext; it cannot seek, nor write. */
int avio_changeover_open(AVIOContext **io, const char *const *urls, int count,
                         const AVIOChangeoverOptions *options);

/* Makes a context that is not opened yet read from it: sets pb, the MPEG-TS demuxer, and that
 * timestamps are passed on as they are (correct_ts_overflow would take an input whose clock is
 * behind the first one's for one that has wrapped). */
void avio_changeover_use(AVIOContext *io, AVFormatContext *format);

/* Puts a packet's times (in the timebase of its stream) on one continuous line, over all switches.
 * 1: use it; 0: drop it: it would fall on what has been sent, or cannot be decoded. `input` may be
 * NULL; otherwise it gets the number of the input that the packet is from. Call it for each packet
 * in the order of av_read_frame, on the thread that reads. */
int avio_changeover_map(AVIOContext *io, const AVStream *stream, AVPacket *packet, int *input);

/* The engine, to switch by hand or ask for its state; its stream is AVIO_CHANGEOVER_STREAM, and an
 * input's priority its number. Do not destroy it. */
changeover_engine avio_changeover_engine(AVIOContext *io);
#define AVIO_CHANGEOVER_STREAM "avio"

/* Ends the threads, closes the inputs, frees everything, and sets *io to NULL. After
 * avformat_close_input (which leaves a pb of the caller's alone), never before. Takes up to some
 * 100 ms. */
void avio_changeover_close(AVIOContext **io);

#endif
