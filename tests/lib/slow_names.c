/* SPDX-License-Identifier: MIT
 * Preloaded into a server: a resolver that doesn't answer for names that end in ".slow". */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	size_t len = node != NULL ? strlen(node) : 0;
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (len < 5 || strcmp(node + len - 5, ".slow") != 0)
		return real(node, service, hints, found);
	for (;;)
		pause();
}
