/* SPDX-License-Identifier: MIT
 * What a server doesn't need to keep from the process that started it: descriptors, capabilities, core files. Each of
 * these is for good, and is passed on to its children; base/identity.h changes the user. */
#ifndef BASE_PRIVILEGES_H
#define BASE_PRIVILEGES_H

#include <stdbool.h>

/* Closes every descriptor from `from` on. */
void privileges_close_inherited(int from);

/* Drops all capabilities, those that a program could regain (the bounding set) if the process may do that, and the
 * possibility to gain any by executing a program (no_new_privs). Unless it is debuggable, neither this process nor its
 * children write core files. To be called once it has its final user. */
void privileges_drop(bool debuggable);

/* Removes every capability from the bounding set, which only root may do: to be called before it becomes another user.
 * Does nothing for others. */
void privileges_bound(void);

/* No process of the same user can read this one's memory, or its part of /proc, or trace it any more. A leak checker
 * couldn't either: does nothing in a build with sanitizers. */
void privileges_hide(void);

/* Returns the version of Landlock that the kernel offers to this process; below 1: none, and errno says why. */
int privileges_landlock_version(void);

#endif
