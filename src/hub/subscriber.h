/* SPDX-License-Identifier: MIT
 * A subscriber: one connection that receives frames, whatever its transport. The struct is embedded first in the
 * transport's own; it is small, because there are many. */
#ifndef HUB_SUBSCRIBER_H
#define HUB_SUBSCRIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "log/frame.h"

struct hub_user;
struct subscriber;

/* The states, and every legal transition:
 *
 *      hub_attach()
 *           |
 *           v           a page of the tables is requested
 *      CATCHING_UP ----------------------------------------> READING
 *        |     ^   <----------------------------------------    |
 *        |     |        the page has arrived                    |
 *        |     |                                                |
 * caught |     | too much waits for it,                         |
 *     up |     | or the history was rewound                     |
 *        v     |                                                |
 *         LIVE                                                  |
 *           |                                                   |
 *           +------- the transport queues its last bytes -------+
 *           |        (from CATCHING_UP, too)
 *           v
 *        CLOSING
 *           |        hub_detach(), from every state above
 *           v
 *         DEAD       on_gone() at the end of the turn
 */
enum subscriber_state {
	SUBSCRIBER_CATCHING_UP, /* receives what it has missed, from the ring or the tables, and nothing new */
	SUBSCRIBER_READING,     /* the same, and waits for a page of the tables */
	SUBSCRIBER_LIVE,        /* receives what is published */
	SUBSCRIBER_CLOSING,     /* receives nothing more; the transport detaches it when what waits is written */
	SUBSCRIBER_DEAD         /* detached: has no descriptor and no user any more */
};

/* Why a subscriber is ended. */
enum subscriber_end {
	END_SHUTDOWN, /* the worker stops */
	END_DENIED,   /* the credential or the account is no longer valid */
	END_FOREIGN,  /* the database is another one now */
	END_REWOUND,  /* the history doesn't hold the subscriber's position any more */
	END_EXPIRED,  /* the subscriber's position is too old to resume from */
	END_MOVED     /* the history was rewound, but not to before the subscriber's position: the client reconnects and
			 resumes */
};

/* Returns the reason for the reset that the client gets; NULL if it gets none. */
const char *subscriber_reset_reason(enum subscriber_end why);

/* A transport's functions. Only on_gone is called for a dead subscriber. */
struct subscriber_ops {
	/* Frames wait and the socket may take some, or hub_wake() was called: writes. Returns true if nothing waits any
	 * more and the subscriber is to receive more of what it has missed. */
	bool (*on_ready)(struct subscriber *s);
	/* period_ms have passed since beat_ms, whether or not something was written: sends a heartbeat, or ends a wait.
	 */
	void (*on_beat)(struct subscriber *s);
	/* Queues the last bytes for the client, if there are any to send, and sets CLOSING, or detaches s at once. */
	void (*on_end)(struct subscriber *s, enum subscriber_end why);
	/* The last call: nothing refers to s any more, and its memory can be freed. */
	void (*on_gone)(struct subscriber *s);
};

/* Frames that wait behind the first one. */
struct waiting {
	uint32_t at, count, size; /* frames[at … count) */
	struct frame *frames[];
};

/* The members are the hub's unless marked as the transport's. Zero it before use. */
struct subscriber {
	const struct subscriber_ops *ops; /* the transport's; set before hub_attach() */
	struct hub_user *user;            /* NULL once it is dead */
	struct subscriber *next;          /* of the same user */
	struct subscriber *ready_next;
	struct list wheel;
	struct frame *first;            /* the first frame that waits; NULL: none */
	struct waiting *more;           /* those behind it; NULL most of the time */
	uint64_t pos;                   /* everything up to here is queued or written */
	uint64_t done;                  /* everything up to here is written */
	uint32_t pos_check, done_check; /* see struct position */
	uint64_t credential;            /* the transport's: what it was opened with; set before hub_attach() */
	uint32_t expires_s;             /* the transport's: when that ends, seconds since 1970; 0: never; likewise */
	uint32_t last_ms;   /* the transport's: when something was last written, low bits of clock_mono_ms() */
	uint32_t beat_ms;   /* when the current period began; a transport that goes on moves it forward */
	uint32_t period_ms; /* the transport's: see on_beat; set before hub_attach() */
	uint32_t queued_bytes;
	uint32_t offset; /* the transport's: bytes of first that are written already */
	int fd;
	enum subscriber_state state : 8; /* change it with subscriber_set_state() */
	bool was_live : 1;  /* while it catches up: it fell back, and reads according to its memberships at the time */
	bool replaying : 1; /* what waits was missed, not new; until nothing waits */
	bool read_pending : 1; /* a read of the tables still refers to it; it isn't freed before that ends */
	bool ready : 1;        /* on the ready list */
	bool waited : 1;       /* hub_wait_for_head() has made it wait once */
	bool blocked : 1;      /* the transport sets it: the socket accepted no more */
	bool ndjson : 1, close_after : 1, got_events : 1; /* a stream's own, here because there is room */
};
_Static_assert(sizeof(struct subscriber) <= 128, "there are many of them");

/* Changes the state; the transition must be one of those above. */
void subscriber_set_state(struct subscriber *s, enum subscriber_state state);

/* Returns true while s receives what it has missed, and nothing new. */
static inline bool subscriber_is_behind(const struct subscriber *s) { return s->state < SUBSCRIBER_LIVE; }

/* Returns true if s receives nothing more. */
static inline bool subscriber_is_ending(const struct subscriber *s) { return s->state > SUBSCRIBER_LIVE; }

static inline void subscriber_set_position(struct subscriber *s, struct position at)
{
	s->pos = at.pos;
	s->pos_check = at.check;
}

/* Returns the frame that waits at place i, 0 being the first; NULL behind the last. The reference stays s's. */
static inline struct frame *subscriber_waiting(const struct subscriber *s, uint32_t i)
{
	if (i == 0)
		return s->first;
	return s->more != NULL && s->more->at + i - 1 < s->more->count ? s->more->frames[s->more->at + i - 1] : NULL;
}

/* Queues f, with a reference of its own. Ends the process if there is no memory. */
void subscriber_push(struct subscriber *s, struct frame *f);

/* Removes the first frame, which was written: done moves forward. There must be one. */
void subscriber_pop(struct subscriber *s);

/* Removes everything that waits. */
void subscriber_clear(struct subscriber *s);

#endif
