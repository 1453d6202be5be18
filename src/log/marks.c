/* SPDX-License-Identifier: MIT
 * See marks.h. A circular array of ranges. Between positions that were read from the tables there are gaps, because
 * tables hold the latest state only: a position in a gap is unknown. */
#include "log/marks.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#define MARKS_MAX 8192 /* a power of two */

struct range {
	uint64_t from, upto;
	uint32_t check;
};

struct marks {
	unsigned first, count;
	struct range ranges[MARKS_MAX];
};

struct marks *marks_new(void)
{
	struct marks *m = mem_zeroed(1, sizeof(*m));
	return m;
}

void marks_free(struct marks *m) { free(m); }

static struct range *range(struct marks *m, unsigned i) { return &m->ranges[(m->first + i) % MARKS_MAX]; }
static const struct range *range_at(const struct marks *m, unsigned i)
{
	return &m->ranges[(m->first + i) % MARKS_MAX];
}

void marks_add(struct marks *m, uint64_t from, uint64_t upto, uint32_t check)
{
	struct range *last = m->count > 0 ? range(m, m->count - 1) : NULL;
	if (last != NULL && upto <= last->upto)
		return;
	if (last != NULL && last->check == check) { /* the same batch, which has everything in between, too */
		last->upto = upto;
		return;
	}
	if (last != NULL && from <= last->upto)
		from = last->upto + 1;
	if (m->count == MARKS_MAX) {
		m->first = (m->first + 1) % MARKS_MAX;
		m->count--;
	}
	*range(m, m->count++) = (struct range) { from, upto, check };
}

void marks_cut(struct marks *m, uint64_t pos)
{
	while (m->count > 0 && range(m, m->count - 1)->upto > pos)
		m->count--;
}

enum marks_answer marks_look(const struct marks *m, struct position at)
{
	unsigned low = 0, high = m->count; /* the first range that doesn't end below it */
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (range_at(m, middle)->upto < at.pos)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == m->count || range_at(m, low)->from > at.pos)
		return MARKS_UNKNOWN;
	return range_at(m, low)->check == at.check ? MARKS_SAME : MARKS_OTHER;
}

void marks_list(const struct marks *m, struct buf *positions, struct buf *checks)
{
	buf_addc(positions, '{');
	buf_addc(checks, '{');
	for (unsigned i = 0; i < m->count; i++) {
		buf_addf(positions, "%s%llu", i > 0 ? "," : "", (unsigned long long)range_at(m, i)->upto);
		buf_addf(checks, "%s%lu", i > 0 ? "," : "", (unsigned long)range_at(m, i)->check);
	}
	buf_addc(positions, '}');
	buf_addc(checks, '}');
}
