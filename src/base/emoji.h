/* SPDX-License-Identifier: MIT
 * What counts as one emoji: the sequences of UTS #51, over the characters of Unicode 17. */
#ifndef BASE_EMOJI_H
#define BASE_EMOJI_H

#include <stdbool.h>

#include "base/buf.h"

/* Returns true if s, which is valid UTF-8, is one emoji and nothing else: a character with or without skin tone, a
 * keycap, a flag, or several joined. Appends its canonical form, the same for all its spellings: with U+FE0F only where
 * the character alone would be drawn as text. */
bool emoji_canonical(const char *s, struct buf *out);

#endif
