/* SPDX-License-Identifier: MIT
 * What libmicrohttpd can't parse it answers by itself, before anybody is asked, with a page of HTML and no code; 0.9.75
 * has no option for that. But it makes and queues those answers with its own public functions, which the dynamic linker
 * looks up like any other symbol: the two here stand in front of them and turn the page into a problem.
 *
 * They also mend a fault: an error that is found when all headers have come (a bad Content-Length, too large a cookie)
 * is answered with two heads, since the library forgets that it has begun to answer. There the connection is closed
 * instead.
 *
 * Where the library is linked statically, its pages remain, and nothing else changes. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "http/internal.h"
#include "http/problem.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const struct MHD_Response *page; /* the library's last one, from its making to its queueing */

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
	static const char html[] = "<html><head><title>";
	struct MHD_Response *r = MHD_create_response_from_data(
		size, buffer, mode == MHD_RESPMEM_MUST_FREE, mode == MHD_RESPMEM_MUST_COPY);
	if (mode == MHD_RESPMEM_PERSISTENT && size > sizeof(html) && memcmp(buffer, html, sizeof(html) - 1) == 0)
		page = r;
	return r;
}

static const char *code_of(unsigned status)
{
	switch (status) {
	case 413: return "body_too_large";
	case 414: return "address_too_long";
	case 431: return "header_too_large";
	case 505: return "version_not_supported";
	case 500: return "internal";
	default: return "bad_request";
	}
}

static struct MHD_Response *problem_response(unsigned status)
{
	struct buf out;
	size_t len;
	char id[REQUEST_ID_MAX + 1];
	request_id_make(id);
	buf_init(&out, 1024);
	problem_render(&out, problem_find(code_of(status)), NULL, id, "");
	char *body = buf_detach(&out, &len);
	struct MHD_Response *r = MHD_create_response_from_data(len, body, MHD_YES, MHD_NO);
	if (r == NULL)
		fatal("out of memory");
	MHD_add_response_header(r, "Content-Type", "application/problem+json");
	MHD_add_response_header(r, "X-Request-Id", id);
	return r;
}

/* Whether all headers have come, but nobody here has been asked about the request yet. */
static bool is_between(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *head = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const union MHD_ConnectionInfo *context = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct connection *c = context != NULL ? context->socket_context : NULL;
	return head != NULL && head->header_size > 0 && c != NULL && !c->asked;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *mhd, unsigned status, struct MHD_Response *response)
{
	static enum MHD_Result (*queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);
	if (queue == NULL)
		*(void **)&queue = dlsym(RTLD_NEXT, "MHD_queue_response");
	if (response != page)
		return queue(mhd, status, response);
	page = NULL;
	if (is_between(mhd))
		return MHD_NO; /* the library closes the connection */
	struct MHD_Response *problem = problem_response(status);
	enum MHD_Result rc = queue(mhd, status, problem);
	MHD_destroy_response(problem);
	return rc;
}
