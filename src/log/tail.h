/* SPDX-License-Identifier: MIT
 * The tail of the log: follows the log by notifications, in order and without gaps, keeps the ring, and publishes every
 * frame to its listeners.
 *
 * Notifications are fast and not trusted: one that doesn't continue the head, every reconnect, and a comparison with
 * the database's head every two seconds lead to a read of the tables. */
#ifndef LOG_TAIL_H
#define LOG_TAIL_H

#include "log/frame.h"
#include "log/marks.h"
#include "log/ring.h"

struct live;
struct loop;
struct tail;

/* A listener's callbacks; each may be NULL. Frames are borrowed: frame_ref() keeps one. */
struct tail_events {
	/* The next frame of the log; positions ascend. own: it was sent through this node, or it was read from the
	 * tables and may be old. */
	void (*on_frame)(void *arg, struct frame *f, bool own);
	/* Before frames that are read from the tables because notifications were missing: f is the member frame of a
	 * user who joined a chat in that gap. Whether the user was a member before isn't known; until f itself comes by
	 * on_frame, the user is to be treated as no member. */
	void (*on_rejoined)(void *arg, const struct frame *f);
	/* Everything up to tail_head() has been published. */
	void (*on_head)(void *arg);
	/* The database's history isn't the one that was published. Head and ring are those of the new history; the ring
	 * is empty. common is the last position that both are known to share, 0 if there is none; foreign: it is
	 * another database. */
	void (*on_rewind)(void *arg, uint64_t common, bool foreign);
	/* An event that isn't in the log. Only while the tail is live. */
	void (*on_live)(void *arg, const struct live *l);
	/* Settings that administrators keep in the database may have changed. */
	void (*on_settings)(void *arg);
	/* What is cached of an account (credential 0) or of one of its credentials is stale. name NULL: of every
	 * account, because the connection was lost and notifications with it. */
	void (*on_control)(void *arg, const char *name, uint64_t credential);
};

struct tail_stats { /* since the start */
	uint64_t notifications;
	uint64_t holes;      /* how often notifications were missing */
	uint64_t reconnects; /* how often it was attached to the database again */
};

/* Creates a tail, which begins to connect. conninfo and node are copied. deadline_ms bounds each of its queries.
 * expected is the memory in which the node's workers share the last position that was acknowledged to a client: see
 * tail_expect(). Ends the process if there is no memory. */
struct tail *tail_new(struct loop *loop, const char *conninfo, const char *node, size_t ring_bytes,
	unsigned deadline_ms, _Atomic uint64_t *expected);

/* Frees it; no listener is called. NULL isn't allowed. */
void tail_free(struct tail *t);

/* Adds a listener. Listeners are called in the order in which they were added; events and arg must stay valid as long
 * as the loop runs. Add them before the loop runs, so that they miss nothing. */
#define TAIL_LISTENERS_MAX 8
void tail_listen(struct tail *t, const struct tail_events *events, void *arg);

/* Returns true while the tail is connected and has no gap to fill. */
bool tail_live(const struct tail *t);

/* Returns the database's epoch; "" until the tail was attached for the first time. */
const char *tail_epoch(const struct tail *t);

/* Returns the last position that was published. */
struct position tail_head(const struct tail *t);

/* Says whether at belongs to the history that was published. */
enum marks_answer tail_look(const struct tail *t, struct position at);

/* Returns the ring, which stays the tail's. */
struct ring *tail_ring(const struct tail *t);

/* For a caller that has just committed a message: tail_continues() returns true if its position is the one after the
 * head, in a batch with that check behind a batch with the check before. Then tail_publish() may publish the message's
 * frame at once, without waiting for the notification; it takes over the reference to f. */
bool tail_continues(const struct tail *t, uint64_t pos, uint32_t check, uint32_t before);
void tail_publish(struct tail *t, struct frame *f);

/* Tells all workers of the node that a position was acknowledged to a client. Until a worker has published it, that
 * worker's tail is behind. */
void tail_expect(struct tail *t, uint64_t pos);

/* Returns the last of these positions; 0 if there is none in this history. */
uint64_t tail_expected(const struct tail *t);
bool tail_is_behind(const struct tail *t);

/* Returns counters, which stay the tail's. */
const struct tail_stats *tail_stats(const struct tail *t);

#endif
