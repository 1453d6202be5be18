/* SPDX-License-Identifier: MIT
 * See map.h. Removal shifts the entries behind it back (Knuth, TAOCP 6.4, Algorithm R), so there are no tombstones and
 * a map that has shrunk reuses its memory. */
#include "base/map.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

static size_t slot_of(const struct map *m, uint64_t key)
{
	key ^= key >> 32; /* the finaliser of MurmurHash3: small numbers must spread */
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	return (size_t)key & (m->size - 1);
}

void map_release(struct map *m)
{
	free(m->entries);
	*m = (struct map) { 0 };
}

static struct map_entry *find(const struct map *m, uint64_t key)
{
	size_t i = slot_of(m, key);
	while (m->entries[i].value != NULL && m->entries[i].key != key)
		i = (i + 1) & (m->size - 1);
	return &m->entries[i];
}

void *map_get(const struct map *m, uint64_t key) { return m->size ? find(m, key)->value : NULL; }

static void resize(struct map *m, size_t size)
{
	struct map_entry *old = m->entries;
	size_t n = m->size;
	m->entries = mem_zeroed(size, sizeof(*m->entries));
	m->size = size;
	for (size_t i = 0; i < n; i++)
		if (old[i].value != NULL)
			*find(m, old[i].key) = old[i];
	free(old);
}

void map_set(struct map *m, uint64_t key, void *value)
{
	if ((m->count + 1) * 4 > m->size * 3)
		resize(m, m->size ? m->size * 2 : 16);
	struct map_entry *e = find(m, key);
	m->count += e->value == NULL;
	*e = (struct map_entry) { key, value };
}

void *map_remove(struct map *m, uint64_t key)
{
	if (m->size == 0)
		return NULL;
	struct map_entry *e = find(m, key);
	void *value = e->value;
	if (value == NULL)
		return NULL;
	size_t hole = (size_t)(e - m->entries), mask = m->size - 1;
	for (size_t i = (hole + 1) & mask; m->entries[i].value != NULL; i = (i + 1) & mask) {
		size_t home = slot_of(m, m->entries[i].key);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue; /* it would be before its home slot */
		m->entries[hole] = m->entries[i];
		hole = i;
	}
	m->entries[hole].value = NULL;
	if (--m->count * 8 < m->size && m->size > 16)
		resize(m, m->size / 2);
	return value;
}

void *map_next(const struct map *m, size_t *i)
{
	while (*i < m->size) {
		void *value = m->entries[(*i)++].value;
		if (value != NULL)
			return value;
	}
	return NULL;
}
