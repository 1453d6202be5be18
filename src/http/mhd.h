/* SPDX-License-Identifier: MIT
 * What we rely on of libmicrohttpd 0.9.75 beyond its manual. Whatever depends on how the library works inside belongs
 * here. */
#ifndef HTTP_MHD_H
#define HTTP_MHD_H

#include <microhttpd.h>
#include <stdbool.h>

/* Makes a response of a body in memory; the only way to make one here: a response from
 * MHD_create_response_from_buffer() is taken for an error page of the library's own. With must_free the response owns
 * the body, which comes from malloc(); without, the body outlives it. Never NULL. */
struct MHD_Response *mhd_response(void *body, size_t size, bool must_free);

/* Returns the size of the request's head in bytes; 0: it has not come whole. */
size_t mhd_head_size(struct MHD_Connection *mhd);

#endif
