/* SPDX-License-Identifier: MIT
 * What libmicrohttpd can't parse it answers by itself, before anybody is asked, with a page of HTML and no code; 0.9.75 has no
 * option for that. But it makes those answers with its own public MHD_create_response_from_buffer(), which the dynamic linker
 * looks up like any other symbol: this one stands in front of it and turns the page into a problem. Where the library is linked
 * statically the page remains, and nothing else changes. */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/problem.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* What the library's pages say, and which problem that is. Any other page is a malformed request. */
static const struct { const char *says, *code; } pages[] = {
	{ "too big", "header_too_large" }, { "too long", "header_too_large" }, { "too large", "body_too_large" }, { "nternal", "internal" },
	{ "version", "version_not_supported" },
};

static const char *code_of(const char *page, size_t size)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (memmem(page, size, pages[i].says, strlen(pages[i].says)) != NULL)
			return pages[i].code;
	return "bad_request";
}

static struct MHD_Response *problem_response(const char *code)
{
	const struct problem *p = problem_find(code);
	struct buf out;
	size_t len;
	buf_init(&out, 1024);
	buf_addf(&out, "{\"type\":\"urn:postern:problem:%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"}", p->code, p->title, p->status, p->code);
	char *body = buf_detach(&out, &len);
	struct MHD_Response *r = MHD_create_response_from_data(len, body, MHD_YES, MHD_NO);
	if (r != NULL)
		MHD_add_response_header(r, "Content-Type", "application/problem+json");
	return r;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
	static const char html[] = "<html><head><title>";
	if (mode == MHD_RESPMEM_PERSISTENT && size > sizeof(html) && memcmp(buffer, html, sizeof(html) - 1) == 0)
		return problem_response(code_of(buffer, size));
	return MHD_create_response_from_data(size, buffer, mode == MHD_RESPMEM_MUST_FREE, mode == MHD_RESPMEM_MUST_COPY);
}
