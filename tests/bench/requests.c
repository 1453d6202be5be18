/* SPDX-License-Identifier: MIT
 * See postern.h: the requests that the generator sends to Postern. */
#include "marker.h"
#include "postern.h"

size_t post_message(char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us)
{
	return (size_t)snprintf(out, size,
		"POST /v1/chats/%lu/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\nContent-Type: "
		"text/plain\r\nContent-Length: %d\r\n\r\n" MARKER_TEXT,
		chat, user, MARKER_TEXT_LEN, (uint64_t)at_us);
}

size_t post_long_message(
	char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us, int length)
{
	return (size_t)snprintf(out, size,
		"POST /v1/chats/%lu/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\nContent-Type: "
		"text/plain\r\nContent-Length: %d\r\n\r\n" MARKER_FORMAT "%0*d",
		chat, user, length, (uint64_t)at_us, length - MARKER_LEN, 0);
}

size_t get_stream(char *out, size_t size, unsigned user, const char *cursor)
{
	return (size_t)snprintf(out, size,
		"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\n%s%s%s\r\n", user,
		cursor ? "Last-Event-ID: " : "", cursor ? cursor : "", cursor ? "\r\n" : "");
}
