/* The command line of ffchangeover. */

#include "options.h"

#include "help.h"
#include "log.h"

#include <changeover.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const char *option, const char *what) {
    log_line("%s: %s (--help has them all)", option, what);
    return 2;
}

typedef struct Number {
    const char *name;
    int64_t *value;
    int64_t least;
} Number;

/* Reads a whole number; 0 where the text is none, or too small. */
static int whole(const char *text, int64_t least, int64_t *out) {
    char *end;
    long long value = strtoll(text, &end, 10);
    if (!*text || *end || value < least || value > 1000000000000)
        return 0;
    *out = value;
    return 1;
}

static int seconds(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);
    return *text && !*end && *out > 0 && *out < 1e9;
}

/* One of two words: 0, 1; -1: neither. */
static int either(const char *text, const char *first, const char *second) {
    return strcmp(text, first) == 0 ? 0 : strcmp(text, second) == 0 ? 1 : -1;
}

/* A long option with its value: 0, or 2. */
static int set(Options *options, SourceConfig *next, const char *name, const char *value) {
    const Number numbers[] = {
        {"--timeout-ms", &options->timeout_ms, 1},
        {"--connect-timeout-ms", &options->connect_timeout_ms, 1},
        {"--probe-every-ms", &options->probe_every_ms, 1},
        {"--failback-stable-ms", &options->stable_ms, 1},
        {"--failback-cooldown-ms", &options->cooldown_ms, 1},
        {"--probesize", &options->probesize, 32},
        {"--analyzeduration", &options->analyzeduration, 1},
    };
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
        if (strcmp(name, numbers[n].name) == 0)
            return whole(value, numbers[n].least, numbers[n].value)
                       ? 0
                       : wrong(name, "wants a whole number above 0");
    const struct {
        const char *name, *first, *second;
        int *value;
    } words[] = {
        {"--cut", "keyframe", "immediate", &options->is_immediate},
        {"--failback", "auto", "never", &options->never_back},
        {"--holes", "close", "keep", &options->keep_holes},
    };
    for (size_t n = 0; n < sizeof words / sizeof *words; n++) {
        if (strcmp(name, words[n].name) != 0)
            continue;
        *words[n].value = either(value, words[n].first, words[n].second);
        return *words[n].value >= 0 ? 0 : wrong(name, "is one of the two words in --help");
    }
    if (strcmp(name, "--duration") == 0)
        return seconds(value, &options->duration_s) ? 0 : wrong(name, "wants seconds");
    if (strcmp(name, "--status-json-interval") == 0)
        return seconds(value, &options->status_every_s) ? 0 : wrong(name, "wants seconds");
    if (strcmp(name, "--output-format") == 0) {
        options->output_format = value;
        return 0;
    }
    if (strcmp(name, "--input-format") == 0 || strcmp(name, "-f") == 0) {
        next->format = av_find_input_format(value);
        return next->format ? 0 : wrong(value, "libavformat reads no such format");
    }
    if (strcmp(name, "--loglevel") == 0) {
        /* The names are libavutil's; it has no call for them but its option parser. */
        static const char *const names[] = {"quiet", "panic",   "fatal", "error", "warning",
                                            "info",  "verbose", "debug", "trace"};
        for (int n = 0; n < 9; n++) {
            if (strcmp(value, names[n]) == 0) {
                options->log_level = 8 * (n - 1);
                return 0;
            }
        }
        return wrong(name, "there is no such level");
    }
    return name[1] == '-' ? wrong(name, "there is no such option")
                          : av_dict_set(&next->options, name + 1, value, 0) < 0 ? 2 : 0;
}

static int finish(Options *options, SourceConfig *last) {
    options->output_options = last->options;
    last->options = NULL;
    if (last->format || last->realtime)
        return wrong("-f, -re", "belongs before an -i; an output has --output-format");
    if (options->input_count == 0)
        return wrong("-i", "no input");
    if (!options->output)
        return wrong("OUTPUT", "no output");
    for (int n = 0; n < options->input_count; n++) {
        SourceConfig *input = &options->inputs[n];
        input->probesize = options->probesize;
        input->analyzeduration = options->analyzeduration;
        input->silence_us = options->timeout_ms * 1000;
    }
    return 0;
}

int options_read(Options *options, int count, char **words) {
    *options = (Options){
        .timeout_ms = 1000,
        .connect_timeout_ms = 5000,
        .probe_every_ms = 8000,
        .stable_ms = 5000,
        .cooldown_ms = 12000,
        .probesize = 5000000,
        .analyzeduration = 3000000,
        .log_level = AV_LOG_FATAL,
    };
    SourceConfig next = {0};
    int error = 0;
    for (int n = 1; n < count && error == 0; n++) {
        const char *word = words[n], *value = n + 1 < count ? words[n + 1] : NULL;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            help_print();
            error = 1;
        } else if (strcmp(word, "--version") == 0) {
            printf("ffchangeover, changeover %s, libavformat %s\n", changeover_version_text(),
                   AV_STRINGIFY(LIBAVFORMAT_VERSION));
            error = 1;
        } else if (strcmp(word, "--hot") == 0) {
            options->is_hot = 1;
        } else if (strcmp(word, "-re") == 0) {
            next.realtime = 1;
        } else if (word[0] != '-') {
            if (options->output)
                error = wrong(word, "there is one output only");
            options->output = word;
        } else if (!value) {
            error = wrong(word, "wants a value");
        } else if (strcmp(word, "-i") == 0) {
            if (options->input_count == MAX_INPUTS || options->output) {
                error = wrong(value, options->output ? "inputs come before the output"
                                                     : "too many inputs");
                break;
            }
            next.url = value;
            options->inputs[options->input_count++] = next;
            next = (SourceConfig){0};
            n++;
        } else {
            error = set(options, &next, word, value);
            n++;
        }
    }
    if (error == 0)
        return finish(options, &next);
    av_dict_free(&next.options);
    return error;
}

void options_clear(Options *options) {
    for (int n = 0; n < options->input_count; n++)
        av_dict_free(&options->inputs[n].options);
    av_dict_free(&options->output_options);
}
