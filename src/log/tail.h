/* SPDX-License-Identifier: MIT
 * The tail of the log: follows it by notifications, in order and without holes, and keeps the ring.
 *
 * Notifications are fast and not trusted: whatever doesn't continue the position that was reached, every reconnect, and
 * a comparison with the head every two seconds lead to a read of the tables. */
#ifndef LOG_TAIL_H
#define LOG_TAIL_H

#include "log/frame.h"
#include "log/marks.h"
#include "log/ring.h"

struct loop;
struct tail;

struct live;

struct tail_events {
	/* The next frame. own: it was sent through this node, or it is old news read from the tables. Positions ascend.
	 */
	void (*on_frame)(void *arg, struct frame *f, bool own);
	/* Before frames that were read because notifications were missing: f tells of somebody who joined behind the
	 * head. What he was before that isn't known any more; until f itself comes he is nobody there. */
	void (*on_rejoined)(void *arg, const struct frame *f);
	/* Everything up to tail_head() has been told; the first time with tail_live(): the tail is ready. */
	void (*on_head)(void *arg);
	/* The history isn't the one that was told; head and ring are those of the one that is there now, the ring
	 * empty. common is the last position that is known to be the same in both, 0 when none is; foreign: it is
	 * another database. */
	void (*on_rewind)(void *arg, uint64_t common, bool foreign);
	/* Something that isn't in the log; l and its frame are only lent. */
	void (*on_live)(void *arg, struct live *l);
	/* What administrators have set may be another now. */
	void (*on_settings)(void *arg);
	/* What was remembered of an account (credential 0) or of one of his credentials is no longer true; name NULL:
	 * of anybody, because word of it may have been missed. */
	void (*on_control)(void *arg, const char *name, uint64_t credential);
};

/* expected: shared_position(), where the workers tell each other what was acknowledged. */
struct tail *tail_new(struct loop *loop, const char *conninfo, const char *node, size_t ring_bytes,
	unsigned deadline_ms, _Atomic uint64_t *expected, const struct tail_events *events, void *arg);
void tail_free(struct tail *t);

bool tail_live(const struct tail *t);         /* connected and without a hole */
const char *tail_epoch(const struct tail *t); /* "" before the first on_head */
/* Whether pos is the one after the head, in a batch with that check behind one with the check before: who has just
 * committed it may tell its frame, and need not wait for the notification. */
bool tail_awaits(const struct tail *t, uint64_t pos, uint32_t check, uint32_t before);
void tail_tell(struct tail *t, struct frame *f); /* of such a position; takes the reference */
/* A position that was acknowledged to a client: until it has been told too, the tails of all workers of the node are
 * behind. */
void tail_expect(struct tail *t, uint64_t pos);
uint64_t tail_expected(const struct tail *t); /* the last of these positions; 0: none in this history */
bool tail_is_behind(const struct tail *t);
uint64_t tail_head(const struct tail *t); /* the last position that was told */
void tail_set_ring_bytes(struct tail *t, size_t ring_bytes);
struct position tail_position(const struct tail *t);                   /* the same, with its check */
enum marks_answer tail_look(const struct tail *t, struct position at); /* whether at is of the history that was told */
struct ring *tail_ring(const struct tail *t);
uint64_t tail_holes(const struct tail *t); /* how often the tables were read because notifications were missing */
uint64_t tail_notifications(const struct tail *t);

#endif
