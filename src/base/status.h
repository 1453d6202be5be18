/* SPDX-License-Identifier: MIT
 * The outcomes that cross module borders. Every function that returns one must be checked. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum status {
	ST_OK = 0,
	ST_NOMEM,   /* out of memory */
	ST_INVALID, /* the input is malformed or out of range */
	ST_SYSTEM,  /* a system call failed; errno says why */
	ST_AWAY,    /* the database can't be reached now; try again later */
	ST_REFUSED, /* the other side understood and said no */
};

#endif
