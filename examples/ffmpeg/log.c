/* The program's log: one line of text at a time, on standard error. */

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void log_line(const char *format, ...) {
    struct timespec now;
    struct tm day;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &day);
    char line[1200];
    int used = snprintf(line, sizeof line, "%02d:%02d:%02d.%03d ", day.tm_hour, day.tm_min,
                        day.tm_sec, (int)(now.tv_nsec / 1000000));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    /* One call: lines of several threads do not mix. */
    fprintf(stderr, "%s\n", line);
}
