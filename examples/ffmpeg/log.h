/* The program's log: one line of text at a time, on standard error. */

#ifndef LOG_H
#define LOG_H

/* Writes one line, with the time of day before it. Any thread. */
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);

#endif
