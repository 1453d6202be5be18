/* SPDX-License-Identifier: MIT
 * A subscriber: one connection that receives frames, whatever its transport. The struct is embedded first in the
 * transport's own; it is small, because there are many. Fields are the hub's unless said. */
#ifndef HUB_SUBSCRIBER_H
#define HUB_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "log/frame.h"

struct hub_user;
struct subscriber;

/* Why a subscriber is told to end. */
enum subscriber_end {
	END_SHUTDOWN, /* the worker stops */
	END_DENIED,   /* the credential or the account is no longer good */
	END_FOREIGN,  /* it is another database now */
	END_REWOUND,  /* the history doesn't hold the subscriber's position any more */
	END_EXPIRED,  /* the cursor can't be served any more */
	END_MOVED,    /* the history was rewound behind the subscriber's position: it should come again and goes on from
			 there */
};

struct subscriber_ops {
	/* Frames wait and the socket may take some: write. With catching set and nothing waiting: call hub_catch_up().
	 */
	void (*on_ready)(struct subscriber *s);
	/* period_ms have passed since beat_ms, whatever was written meanwhile: a heartbeat, or the end of the wait. */
	void (*on_beat)(struct subscriber *s);
	/* Say it to the client if there is something to say, then close as soon as it is written. */
	void (*on_end)(struct subscriber *s, enum subscriber_end why);
	/* The last call: the hub has forgotten s, its descriptor is closed unless it was taken; free the memory. */
	void (*on_gone)(struct subscriber *s);
};

struct waiting {
	uint32_t at, count, size; /* frames[at … count) wait */
	struct frame *frames[];
};

struct subscriber {
	const struct subscriber_ops *ops;
	struct hub_user *user;
	struct subscriber *next; /* of the same user */
	struct subscriber *ready_next;
	struct list wheel;
	struct frame *first;            /* what waits: this one, */
	struct waiting *more;           /* then these; NULL most of the time */
	uint64_t pos;                   /* all up to here is queued or written */
	uint64_t done;                  /* all up to here is written */
	uint32_t pos_check, done_check; /* see struct position */
	uint64_t credential;            /* the transport sets it: which one it hangs on */
	uint32_t expires_s;             /* the transport sets it: when that ends, seconds since 1970; 0 never */
	uint32_t last_ms;               /* of the last progress in writing, low bits of the monotonic clock */
	uint32_t beat_ms;   /* when the last period ended; a transport with more than one of them moves it on */
	uint32_t period_ms; /* the transport sets it */
	uint32_t queued_bytes;
	uint32_t offset; /* of first, what is written of it already; the transport's */
	int fd;
	bool catching : 1;  /* not live yet: frames come from the ring or the tables */
	bool set_back : 1;  /* it was live: what it missed is read as its membership was then, not as it is now */
	bool replaying : 1; /* what waits was missed, not new; until nothing waits */
	bool busy : 1;      /* a read of the tables is under way */
	bool blocked : 1;   /* the socket took no more; the transport sets it */
	bool ready : 1;     /* on the ready list */
	bool closing : 1;   /* nothing more is queued; ends when what waits is written */
	bool waited : 1;    /* for the tail, once */
	bool dead : 1;
	bool ndjson : 1, close_after : 1, got_events : 1; /* a stream's own; they fit in here */
};

static inline void subscriber_set_position(struct subscriber *s, struct position at)
{
	s->pos = at.pos;
	s->pos_check = at.check;
}

/* The frame that waits at place i (0 is the first), NULL behind the last. */
static inline struct frame *subscriber_waiting(const struct subscriber *s, uint32_t i)
{
	if (i == 0)
		return s->first;
	return s->more != NULL && s->more->at + i - 1 < s->more->count ? s->more->frames[s->more->at + i - 1] : NULL;
}

void subscriber_push(struct subscriber *s, struct frame *f); /* takes a reference of its own */
void subscriber_pop(struct subscriber *s);                   /* the first was written */
void subscriber_clear(struct subscriber *s);                 /* forgets what waits */

#endif
