/* SPDX-License-Identifier: MIT
 * Recognises pictures by their first bytes, whatever type the sender declared. Nothing is decoded here. */
#ifndef BASE_PICTURE_H
#define BASE_PICTURE_H

#include <stddef.h>

/* Returns the media type of a picture that holds pixels only and can't carry a script: PNG, JPEG, WebP, GIF. NULL:
 * another type, or truncated before its size. *ret_width and *ret_height are its size in pixels, not 0. */
const char *picture_type(const void *data, size_t len, unsigned *ret_width, unsigned *ret_height);

#endif
