/* SPDX-License-Identifier: MIT
 * See resolve.h. The thread and the owner share one block; the last of them frees it. */
#include "base/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define STACK_SIZE ((size_t)256 << 10) /* getaddrinfo() and its modules */

struct resolve {
	atomic_int users;
	atomic_bool ended;
	int fd;
	char *host;
	int error; /* getaddrinfo's */
	unsigned count;
	char addresses[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE];
};

static void leave(struct resolve *r)
{
	if (atomic_fetch_sub(&r->users, 1) > 1)
		return;
	close(r->fd);
	free(r->host);
	free(r);
}

static void *look_up(void *arg)
{
	struct resolve *r = arg;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	r->error = getaddrinfo(r->host, NULL, &hints, &found);
	for (struct addrinfo *a = found; r->error == 0 && a != NULL && r->count < RESOLVE_ADDRESSES; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, r->addresses[r->count], RESOLVE_ADDRESS_SIZE, NULL, 0,
			    NI_NUMERICHOST) == 0)
			r->count++;
	if (found != NULL)
		freeaddrinfo(found);
	atomic_store(&r->ended, true);
	if (write(r->fd, &(uint64_t) { 1 }, sizeof(uint64_t)) < 0) { /* can't happen: there is no other writer */
	}
	leave(r);
	return NULL;
}

struct resolve *resolve_start(const char *host)
{
	pthread_attr_t attr;
	pthread_t thread;
	if (pthread_attr_init(&attr) != 0)
		return NULL;
	struct resolve *r = mem_zeroed(1, sizeof(*r));
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	atomic_init(&r->users, 2);
	r->host = mem_strdup(host);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->fd < 0 || pthread_create(&thread, &attr, look_up, r) != 0) {
		atomic_store(&r->users, 1);
		leave(r);
		r = NULL;
	}
	pthread_attr_destroy(&attr);
	return r;
}

int resolve_fd(const struct resolve *r) { return r->fd; }
bool resolve_ended(const struct resolve *r) { return atomic_load(&r->ended); }

unsigned resolve_addresses(
	const struct resolve *r, char out[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE], const char **ret_why)
{
	memcpy(out, r->addresses, sizeof(r->addresses));
	*ret_why = r->error != 0 ? gai_strerror(r->error) : "it has no address";
	return r->count;
}

void resolve_free(struct resolve *r)
{
	if (r != NULL)
		leave(r);
}
