/* ffchangeover: N inputs of any kind that libavformat opens, one output, no transcoding: sends the
 * best input that works.
 *
 *     ffchangeover --hot -i udp://:5001 -i srt://backup:5002 rtmp://server/live/key
 *
 * This file is the program's frame: options, signals, the wait for the end. In reading order:
 *   relay.c   the engine, its driver calls, beginning and end
 *   input.c   a thread per input: opens, reads, records each packet with the engine
 *   source.c  libavformat's reading side: deadlines, no dead source's last words
 *   tracks.c  which streams count, whether inputs fit each other, one form for all packets
 *   output.c  keyframes first, one timeline, the muxer
 *   console.c commands and status */

#include "console.h"
#include "log.h"

#include <libavutil/time.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

/* A second one does not wait for the output. */
static void on_signal(int number) {
    if (++signals > 1)
        _exit(128 + number);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A peer that closes is an error of the write. */
    signal(SIGPIPE, SIG_IGN);
}

static void serve_until_end(Relay *relay, const Options *options) {
    Console console = {0};
    int64_t next_status = av_gettime_relative();
    while (!atomic_load(&relay->quit) && !signals) {
        console_serve(&console, relay);
        int64_t now = av_gettime_relative();
        if (options->status_every_s > 0 && now >= next_status) {
            console_print_json(relay);
            next_status = now + (int64_t)(options->status_every_s * 1e6);
        }
        int64_t first = output_totals(relay->output).first_us;
        if (options->duration_s > 0 && first && (double)(now - first) / 1e6 >= options->duration_s)
            break;
    }
}

int main(int count, char **words) {
    static Options options;
    static Relay relay;
    int stop = options_read(&options, count, words);
    if (stop) {
        options_clear(&options);
        return stop == 1 ? EXIT_AS_ASKED : EXIT_COMMAND_LINE;
    }
    av_log_set_level(options.log_level);
    avformat_network_init();
    catch_signals();
    int code = relay_start(&relay, &options);
    if (code == EXIT_AS_ASKED) {
        serve_until_end(&relay, &options);
        code = relay_end(&relay);
    }
    if (code == EXIT_HUNG) {
        fflush(stdout);
        _exit(code); /* a thread still uses what would be taken down */
    }
    options_clear(&options);
    avformat_network_deinit();
    return code;
}
