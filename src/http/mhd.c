/* SPDX-License-Identifier: MIT
 * See mhd.h.
 *
 * libmicrohttpd answers a request that it can't parse by itself, without calling the access handler, with an HTML page
 * and no code; 0.9.75 has no option to change that. But it makes and queues such an answer with two of its public
 * functions, which the dynamic linker resolves like any other symbol. The two functions here replace them, and the page
 * by a problem. Postern's own responses are made by another function, so that their content doesn't matter.
 *
 * They also work around a fault: the library answers an error that it finds after all headers were received (a bad
 * Content-Length, too large a cookie) with two heads, since it forgets that it has begun to answer. In that case the
 * connection is closed instead.
 *
 * If the library is linked statically, its pages remain, and nothing else changes. */
#include "http/mhd.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/problem.h"
#include "http/internal.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static const struct MHD_Response *page; /* the library's last one, between its creation and its queueing */

struct MHD_Response *mhd_response(void *body, size_t size, bool must_free)
{
	return mem_checked(MHD_create_response_from_data(size, body, must_free ? MHD_YES : MHD_NO, MHD_NO));
}

size_t mhd_head_size(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	return info != NULL ? info->header_size : 0;
}

/* Called by the library only, for its error pages. */
struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
	page = MHD_create_response_from_data(
		size, buffer, mode == MHD_RESPMEM_MUST_FREE, mode == MHD_RESPMEM_MUST_COPY);
	return (struct MHD_Response *)(uintptr_t)page;
}

static enum problem problem_of(unsigned status)
{
	switch (status) {
	case 413: return PROBLEM_BODY_TOO_LARGE;
	case 414: return PROBLEM_ADDRESS_TOO_LONG;
	case 431: return PROBLEM_HEADER_TOO_LARGE;
	case 505: return PROBLEM_VERSION_NOT_SUPPORTED;
	case 500: return PROBLEM_INTERNAL;
	default: return PROBLEM_BAD_REQUEST;
	}
}

static struct MHD_Response *problem_response(unsigned status)
{
	struct buf out;
	size_t len;
	char id[REQUEST_ID_MAX + 1];
	request_id_make(id);
	buf_init(&out, 1024);
	problem_render(&out, problem_of(status), NULL, id, "");
	char *body = buf_detach(&out, &len);
	struct MHD_Response *r = mhd_response(body, len, true);
	MHD_add_response_header(r, "Content-Type", "application/problem+json");
	MHD_add_response_header(r, "X-Request-Id", id);
	return r;
}

/* Returns true if all headers were received, but the access handler wasn't called for the request yet. */
static bool is_between(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *context = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct connection *c = context != NULL ? context->socket_context : NULL;
	return mhd_head_size(mhd) > 0 && c != NULL && !c->asked;
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
