/* SPDX-License-Identifier: MIT
 * HEAD for the transports. The answer to GET has no length that is known in advance, and libmicrohttpd 0.9.75 can't
 * leave it out of the answer to HEAD: it sends "Content-Length: 0", or a last chunk, which HEAD forbids, or closes. So
 * the answer is written here, and the connection returns to HTTP as after a poll. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/server.h"
#include "http/transport.h"

static void answer(void *arg, struct request *req, int fd)
{
	struct transport_head *head = arg;
	uint64_t accounted = 0;
	struct buf out;
	if (fd < 0) {
		free(head);
		return;
	}
	bool go_on = request_may_go_on(req, &accounted);
	buf_init(&out, 8192);
	request_head(req, &out, 200, head->type);
	buf_addf(&out, "%s%s\r\n", head->lines, go_on ? "" : "Connection: close\r\n");
	free(head);
	if (!request_was_poll(req))
		transport_tune(fd, false);
	ssize_t sent = send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (go_on && sent == (ssize_t)out.len)
		http_hand_back(request_server(req), fd, accounted);
	else
		close(fd); /* the socket has no room: the client doesn't read its answers */
	buf_release(&out);
}

void head_begin(struct request *req, struct transport_head head)
{
	struct transport_head *copy = mem_alloc(sizeof(*copy));
	*copy = head;
	request_hand_off(req, answer, copy);
}
