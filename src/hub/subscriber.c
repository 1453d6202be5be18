/* SPDX-License-Identifier: MIT
 * See subscriber.h. A single frame, the usual case, waits without any allocation. */
#include "hub/subscriber.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

#define BIT(state) (1u << SUBSCRIBER_##state)

/* The legal transitions: for each state, the states that may follow. */
static const unsigned char transitions[] = {
	[SUBSCRIBER_CATCHING_UP] = BIT(READING) | BIT(LIVE) | BIT(CLOSING) | BIT(DEAD),
	[SUBSCRIBER_READING] = BIT(CATCHING_UP) | BIT(CLOSING) | BIT(DEAD),
	[SUBSCRIBER_LIVE] = BIT(CATCHING_UP) | BIT(CLOSING) | BIT(DEAD),
	[SUBSCRIBER_CLOSING] = BIT(DEAD),
	[SUBSCRIBER_DEAD] = 0,
};

void subscriber_set_state(struct subscriber *s, enum subscriber_state state)
{
	assert(transitions[s->state] & 1u << state);
	s->state = state;
}

const char *subscriber_reset_reason(enum subscriber_end why)
{
	switch (why) {
	case END_FOREIGN: return "foreign_epoch";
	case END_REWOUND: return "rewound";
	case END_EXPIRED: return "expired";
	case END_SHUTDOWN:
	case END_DENIED:
	case END_MOVED: break;
	}
	return NULL;
}

void subscriber_push(struct subscriber *s, struct frame *f)
{
	struct waiting *w = s->more;
	s->queued_bytes += f->sse_len;
	if (s->first == NULL) {
		s->first = frame_ref(f);
		return;
	}
	if (w == NULL || w->count == w->size) {
		uint32_t size = w ? w->size * 2 : 4;
		w = mem_resize(w, sizeof(*w) + size * sizeof(struct frame *), 1);
		if (s->more == NULL)
			w->at = w->count = 0;
		w->size = size;
		s->more = w;
	}
	w->frames[w->count++] = frame_ref(f);
}

static void free_more(struct subscriber *s)
{
	free(s->more);
	s->more = NULL;
}

void subscriber_pop(struct subscriber *s)
{
	struct frame *f = s->first;
	s->queued_bytes -= f->sse_len;
	if (f->pos > s->done) {
		s->done = f->pos;
		s->done_check = f->check;
	}
	frame_unref(f);
	s->offset = 0;
	s->first = s->more != NULL ? s->more->frames[s->more->at++] : NULL;
	if (s->more != NULL && s->more->at == s->more->count)
		free_more(s);
	if (s->first == NULL)
		s->replaying = false;
}

void subscriber_clear(struct subscriber *s)
{
	frame_unref(s->first);
	for (uint32_t i = s->more ? s->more->at : 0; s->more != NULL && i < s->more->count; i++)
		frame_unref(s->more->frames[i]);
	s->first = NULL;
	s->queued_bytes = s->offset = 0;
	free_more(s);
}
