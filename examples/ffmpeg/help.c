/* What ffchangeover --help prints. */

#include "help.h"

#include <stdio.h>

/* In pieces: compilers need not take longer texts than 4,095 bytes. */
static const char *const HELP[] = {
    "ffchangeover [options] [input options] -i URL [[input options] -i URL ...]\n"
    "             [output options] OUTPUT\n"
    "\n"
    "Sends the best of several redundant inputs to one output, without transcoding, and moves to\n"
    "the next one when the one on the air falls silent or breaks. Inputs are anything that\n"
    "libavformat opens (UDP, SRT, RTMP, HLS, RTSP, files); they are numbered from 0, and a lower\n"
    "number is better. The output is one stream throughout: its timestamps go on at a switch.\n"
    "\n"
    "When to switch\n"
    "  --timeout-ms MS           silence that is a failure (1000). With HLS, which comes a segment\n"
    "                            at a time: more than two segments; and since a playlist outlives\n"
    "                            its encoder, and can be opened, --failback never\n"
    "  --connect-timeout-ms MS   longest time to open an input and see a packet (5000)\n"
    "  --cut keyframe|immediate  keyframe (default): a switch waits for the new input's next\n"
    "                            keyframe, up to 10 s, the old one stays until then. immediate: the\n"
    "                            old one is left at once. Either way a turn begins with a keyframe\n"
    "  --failback auto|never     whether a better input gets the stream back (auto)\n"
    "  --failback-stable-ms MS   ... after so long without a gap (5000; --hot)\n"
    "  --failback-cooldown-ms MS ... and so long after the last switch (12000)\n"
    "\n",
    "How inputs are read\n"
    "  --hot                     all inputs all the time, reconnecting by themselves: a switch takes\n"
    "                            no longer than the timeout and the wait for a keyframe. Without\n"
    "                            it, an input is opened when it is needed\n"
    "  --probe-every-ms MS       without --hot: how often a failed input is tried (8000)\n"
    "  --probesize BYTES         how far, and how long (in us), an input is looked into for its\n"
    "  --analyzeduration US      tracks (5000000, 3000000): as soon as all have shown their\n"
    "                            parameters, that ends. It takes a keyframe\n"
    "  -f, --input-format NAME   of the next -i: what libavformat need not guess then\n"
    "  -re                       of the next -i: no faster than its timestamps say (files)\n"
    "  -NAME VALUE               any option that libavformat has, for the next -i, or behind the\n"
    "                            last one for the output: -rtsp_transport tcp, -movflags faststart\n"
    "\n"
    "The output\n"
    "  --output-format NAME      its container, where the URL does not say\n"
    "  --holes close|keep        close (default): the timestamps have no hole at a switch, so the\n"
    "                            media is shorter than the time that has passed. keep: they follow\n"
    "                            the wall clock, as live receivers like it\n"
    "  --duration SECONDS        ends so long after the first packet\n"
    "  --status-json-interval S  prints the state as one line of JSON on standard output each S\n"
    "                            seconds\n"
    "  --loglevel NAME           FFmpeg's own messages: quiet, fatal (default), error, ... debug\n"
    "\n",
    "Tracks. The input that is first on the air defines them: its video and audio, by kind and\n"
    "order. Another input must have as many of each, of the same codec, picture size, pixel format,\n"
    "sample rate and number of channels; one that does not is refused, with a line that names the\n"
    "track. MPEG-TS outputs take inputs of any container, with differing encoder settings: codec\n"
    "configuration is in the packets (H.264 and HEVC get start codes, AAC gets ADTS headers). FLV\n"
    "(RTMP), MP4 and Matroska keep it once for the whole output: there, inputs must also have the\n"
    "same parameter sets, i.e. encoders of the same make and settings (AAC: LC); others are refused.\n"
    "Subtitles and data are left out.\n"
    "\n"
    "Commands, a line each on standard input\n"
    "  switch N           to input N, until it fails\n"
    "  hold N SECONDS     to input N, for so long, or until it fails\n"
    "  release            the rules decide again\n"
    "  status             one line for each input\n"
    "  quit               ends, as do SIGINT and SIGTERM: the output is finished properly\n"
    "\n"
    "Exit codes: 0 ended as asked; 1 the output failed; 2 the command line is wrong; 3 no input ever\n"
    "delivered anything; 4 the engine cannot run; 5 an input hung at the end, and was left.\n",
};

void help_print(void) {
    for (size_t n = 0; n < sizeof HELP / sizeof *HELP; n++)
        fputs(HELP[n], stdout);
}
