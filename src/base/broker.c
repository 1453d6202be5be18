/* SPDX-License-Identifier: MIT
 * See broker.h. */
#include "base/broker.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

/* The space for one descriptor: the kernel closes any others that a message has. */
union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

int broker_pair(int *ret_owner, int *ret_client)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	*ret_owner = ends[0];
	*ret_client = ends[1];
	return 0;
}

/* Sends bytes, with a descriptor unless that is -1. */
static int send_with(int socket, const void *data, size_t len, int fd)
{
	union control control = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd >= 0) {
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr) {
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))
		};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}

/* Receives exactly len bytes, and a descriptor; *ret_fd is -1 if there is none. */
static int receive_with(int socket, void *data, size_t len, int *ret_fd)
{
	union control control;
	struct iovec part = { .iov_base = data, .iov_len = len };
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)
	};
	*ret_fd = -1;
	ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n == (ssize_t)len)
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	if (n >= 0)
		errno = EPIPE; /* the other end was closed */
	return -1;
}

static int await_answer(int socket)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	int n, error = 0, fd;
	while ((n = poll(&p, 1, WAIT_MS)) < 0 && errno == EINTR)
		;
	if (n == 0)
		errno = ETIMEDOUT;
	if (n <= 0 || receive_with(socket, &error, sizeof(error), &fd) < 0)
		return -1;
	if (fd < 0)
		errno = error != 0 ? error : EPROTO;
	return fd;
}

int broker_ask(int client, enum broker_file file)
{
	int mine, theirs;
	char request = (char)file;
	if (broker_pair(&mine, &theirs) < 0)
		return -1;
	int fd = send_with(client, &request, sizeof(request), theirs) == 0 ? 0 : -1;
	int error = errno;
	close(theirs);
	if (fd == 0) {
		fd = await_answer(mine);
		error = errno;
	}
	close(mine);
	errno = error;
	return fd;
}

bool broker_answer(int owner, int (*open_file)(void *arg, enum broker_file file), void *arg)
{
	char request;
	int reply;
	if (receive_with(owner, &request, sizeof(request), &reply) < 0)
		return errno == EAGAIN;
	if (reply < 0)
		return true;
	int fd = open_file(arg, (enum broker_file)request), error = fd < 0 ? errno : 0;
	if (send_with(reply, &error, sizeof(error), fd) < 0) { /* the client has given up */
	}
	if (fd >= 0)
		close(fd);
	close(reply);
	return true;
}
