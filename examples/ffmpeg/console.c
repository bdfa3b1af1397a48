/* What an operator types, and what is told of the state. */

#include "console.h"

#include "log.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 100 };

static const char *state_name(uint32_t status) {
    static const char *const names[] = {"idle", "active", "degraded", "stopped"};
    return status < 4 ? names[status] : "?";
}

static void print_status(const Relay *relay) {
    for (int n = 0; n < relay->options->input_count; n++) {
        changeover_input_health health = changeover_input_health_init();
        if (changeover_input_health_of(relay->engine, RELAY_STREAM, n, &health) < 0)
            continue;
        log_line("input %d: %s, %.0f kbit/s, %.1f fps, %.1f %% lost, %llu packets%s%s  %s", n,
                 state_name(health.status), health.bitrate_kbps, health.fps, health.packet_loss,
                 (unsigned long long)health.packets,
                 health.last_failure[0] ? "; last failure: " : "", health.last_failure, relay->options->inputs[n].url);
    }
}

void console_print_json(const Relay *relay) {
    char *text;
    if (changeover_status_json(relay->engine, RELAY_STREAM, &text) < 0)
        return;
    printf("%s\n", text);
    fflush(stdout);
    changeover_string_free(text);
}

static void carry_out(Relay *relay, const char *line) {
    int number, seconds;
    char more;
    int32_t answer = CHANGEOVER_OK;
    if (sscanf(line, " switch %d %c", &number, &more) == 1) {
        answer = changeover_switch_input(relay->engine, RELAY_STREAM, number, NULL);
    } else if (sscanf(line, " hold %d %d %c", &number, &seconds, &more) == 2 && seconds > 0) {
        changeover_hold hold = changeover_hold_init();
        hold.ttl_ms = (int64_t)seconds * 1000;
        answer = changeover_hold_input(relay->engine, RELAY_STREAM, number, &hold, NULL);
    } else if (strcmp(line, "release") == 0) {
        changeover_release_hold(relay->engine, RELAY_STREAM);
        answer = changeover_clear_override(relay->engine, RELAY_STREAM);
    } else if (strcmp(line, "status") == 0) {
        print_status(relay);
    } else if (strcmp(line, "quit") == 0) {
        atomic_store(&relay->quit, 1);
    } else if (line[0]) {
        log_line("'%s': not a command (switch N, hold N SECONDS, release, status, quit)", line);
    }
    if (answer < 0)
        log_line("%s: %s", line, changeover_last_error_text());
}

static void take(Console *console, Relay *relay, const char *text, size_t size) {
    for (size_t n = 0; n < size; n++) {
        if (text[n] == '\n' || console->used == sizeof console->line - 1) {
            console->line[console->used] = 0;
            console->used = 0;
            carry_out(relay, console->line);
        } else if (text[n] != '\r') {
            console->line[console->used++] = text[n];
        }
    }
}

void console_serve(Console *console, Relay *relay) {
    if (console->is_closed) {
        nanosleep(&(struct timespec){0, WAIT_MS * 1000000L}, NULL);
        return;
    }
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, WAIT_MS) <= 0)
        return;
    char text[256];
    ssize_t got = read(STDIN_FILENO, text, sizeof text);
    if (got > 0)
        take(console, relay, text, (size_t)got);
    else
        console->is_closed = 1; /* nobody types: it runs on */
}
