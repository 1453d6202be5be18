/* SPDX-License-Identifier: MIT
 * Which kind of picture some bytes are, by how they begin and by nothing that anybody says of them. Nothing is decoded
 * here. */
#ifndef BASE_PICTURE_H
#define BASE_PICTURE_H

#include <stddef.h>

/* Its media type, of those that hold pixels only (PNG, JPEG, WebP, GIF): nothing that can carry a script. NULL:
 * something else, or cut off before it says its size, which goes to *ret_width and *ret_height, in pixels, neither of
 * them 0. */
const char *picture_type(const void *data, size_t len, unsigned *ret_width, unsigned *ret_height);

#endif
