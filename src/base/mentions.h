/* SPDX-License-Identifier: MIT
 * The names that a text mentions with @name. Who of them is mentioned is decided in
 * sql/functions/messages/mentions.sql. */
#ifndef BASE_MENTIONS_H
#define BASE_MENTIONS_H

#include <stddef.h>

#include "base/buf.h"

/* Adds the possible names of each mention in the text to out, in lower case: "ann.please ann\nbob" for "@ann.Please,
 * @bob". A line is a mention, with the longest name first, since a full stop, "-" or "_" may or may not belong to a
 * name. Nothing is added for a text without mentions. Only the first 50 different mentions count, and 200 names.
 *
 * The @ must not follow an ASCII letter or digit. What is in a URL, in `code` or in a block of code is no mention. The
 * text is valid UTF-8. The time is linear. */
void mentions_find(const char *text, size_t len, struct buf *out);

#endif
