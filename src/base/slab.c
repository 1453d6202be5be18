/* SPDX-License-Identifier: MIT
 * See slab.h. A chunk begins at a multiple of its size, so that an object's address gives its chunk. */
#include "base/slab.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/list.h"
#include "base/log.h"

#define GRAIN 8
#define SIZES 64 /* multiples of the grain */
#define CHUNK ((size_t)32 << 10)

#if defined(__SANITIZE_ADDRESS__)
#define FROM_MALLOC true /* so that the sanitizer watches each object */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FROM_MALLOC true
#endif
#endif
#ifndef FROM_MALLOC
#define FROM_MALLOC false
#endif

struct object {
	struct object *next; /* while it is free */
};

struct chunk {
	struct list link; /* in the list of chunks of its size that have room */
	struct object *free;
	unsigned used, touched; /* objects in use; objects that were ever used */
};

static struct list roomy[SIZES];

static size_t size_index(size_t size) { return size == 0 ? 0 : (size - 1) / GRAIN; }
static bool is_small(size_t size) { return !FROM_MALLOC && size <= (size_t)SIZES * GRAIN; }
static unsigned room_of(size_t index) { return (unsigned)((CHUNK - sizeof(struct chunk)) / ((index + 1) * GRAIN)); }

/* Maps twice the size, and unmaps what is outside an aligned chunk. */
static struct chunk *new_chunk(void)
{
	char *map = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		fatal("out of memory");
	size_t before = (CHUNK - (uintptr_t)map % CHUNK) % CHUNK;
	if (before > 0)
		munmap(map, before);
	munmap(map + before + CHUNK, CHUNK - before);
	return (struct chunk *)(void *)(map + before);
}

static struct chunk *chunk_with_room(size_t index)
{
	struct list *l = &roomy[index];
	if (l->next == NULL)
		list_init(l);
	if (!list_empty(l))
		return container_of(l->next, struct chunk, link);
	struct chunk *c = new_chunk();
	list_init(&c->link);
	list_append(l, &c->link);
	return c;
}

void *slab_get(size_t size)
{
	if (!is_small(size)) {
		void *p = mem_zeroed(1, size);
		return p;
	}
	size_t index = size_index(size), step = (index + 1) * GRAIN;
	struct chunk *c = chunk_with_room(index);
	void *object = c->free;
	if (object != NULL) {
		c->free = c->free->next;
		memset(object, 0, size);
	} else {
		object = (char *)(c + 1) + c->touched++ * step;
	}
	if (++c->used == room_of(index))
		list_remove(&c->link);
	return object;
}

void slab_put(void *object, size_t size)
{
	if (object == NULL)
		return;
	if (!is_small(size)) {
		free(object);
		return;
	}
	struct chunk *c = (struct chunk *)((uintptr_t)object & ~(uintptr_t)(CHUNK - 1));
	struct list *l = &roomy[size_index(size)];
	struct object *o = object;
	o->next = c->free;
	c->free = o;
	if (c->used-- == room_of(size_index(size)))
		list_append(l, &c->link);
	if (c->used == 0 &&
		(l->next != &c->link || l->prev != &c->link)) { /* the last chunk with room stays for the next object */
		list_remove(&c->link);
		munmap(c, CHUNK);
	}
}

void *slab_resize(void *object, size_t size, size_t new_size)
{
	if (object != NULL && !is_small(size) && !is_small(new_size)) {
		void *p = mem_resize(object, new_size, 1);
		if (new_size > size)
			memset((char *)p + size, 0, new_size - size);
		return p;
	}
	void *p = slab_get(new_size);
	if (object != NULL)
		memcpy(p, object, size < new_size ? size : new_size);
	slab_put(object, size);
	return p;
}
