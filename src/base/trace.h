/* SPDX-License-Identifier: MIT
 * Follows one request through a worker, at log_level trace: a line for each step, with the request's id.
 *
 * A request has a trace from its head on; NULL when the level isn't trace, and then every function here does nothing.
 * While the request is being handled, its trace is the current one. Work that continues later, such as a call to the
 * database, holds the trace and makes it the current one again, so that a layer that knows nothing of requests can log
 * steps of the right one. Only the loop's thread may use this. */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

#include <stdbool.h>

#include "base/log.h"

struct trace;

struct trace *trace_new(const char *id); /* with a reference; NULL: the level isn't trace */
struct trace *trace_hold(void);          /* another reference to the current one; NULL: there is none */
void trace_drop(struct trace *t);        /* drops a reference */

/* Makes t, which must be held meanwhile, the current trace. Returns the previous one, which the caller sets again at
 * the end. */
struct trace *trace_enter(struct trace *t);

const char *trace_id(const struct trace *t);

/* Logs a step of t: fields as for log_event(). */
#define trace_step(t, step, ...) \
	do { \
		if ((t) != NULL) \
			log_event(LOG_TRACE, step, F("request", trace_id(t)), ##__VA_ARGS__); \
	} while (0)

#endif
