/* SPDX-License-Identifier: MIT
 * HEAD of what a transport answers. GET's answer has no length that is known beforehand, and libmicrohttpd 0.9.75 can't
 * leave it out: it says "Content-Length: 0", sends a last chunk that no HEAD may have, or closes. So the few bytes are
 * written here, and the connection goes back to HTTP as after a poll. */
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
		close(fd); /* a socket without room for this is a client's that doesn't read its answers */
	buf_release(&out);
}

void head_begin(struct request *req, struct transport_head head)
{
	struct transport_head *copy = mem_alloc(sizeof(*copy));
	*copy = head;
	request_hand_off(req, answer, copy);
}
