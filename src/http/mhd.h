/* SPDX-License-Identifier: MIT
 * What Postern relies on in libmicrohttpd 0.9.75 beyond its manual. All code that depends on the library's internals
 * belongs here. */
#ifndef HTTP_MHD_H
#define HTTP_MHD_H

#include <microhttpd.h>
#include <stdbool.h>

/* Makes a response with a body in memory. No other function may be used for that: a response from
 * MHD_create_response_from_buffer() is taken for one of the library's error pages. With must_free the response owns the
 * body, which comes from malloc(); otherwise the body must outlive it. Never NULL. */
struct MHD_Response *mhd_response(void *body, size_t size, bool must_free);

/* Returns the size of the request's head in bytes; 0: it is incomplete. */
size_t mhd_head_size(struct MHD_Connection *mhd);

#endif
