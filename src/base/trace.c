/* SPDX-License-Identifier: MIT
 * See trace.h. */
#include "base/trace.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct trace {
	unsigned refs;
	char id[];
};

static struct trace *current;

struct trace *trace_new(const char *id)
{
	if (!log_enabled(LOG_TRACE))
		return NULL;
	size_t size = strlen(id) + 1;
	struct trace *t = mem_alloc(sizeof(*t) + size);
	t->refs = 1;
	memcpy(t->id, id, size);
	return t;
}

struct trace *trace_hold(void)
{
	if (current != NULL)
		current->refs++;
	return current;
}

void trace_drop(struct trace *t)
{
	if (t != NULL && --t->refs == 0)
		free(t);
}

struct trace *trace_enter(struct trace *t)
{
	struct trace *before = current;
	current = t;
	return before;
}

const char *trace_id(const struct trace *t) { return t->id; }
