/* The engine's events as lines of the log. */

#ifndef EVENTS_H
#define EVENTS_H

#include <changeover.h>

void events_log(const changeover_event *event);

#endif
