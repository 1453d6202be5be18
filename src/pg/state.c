/* SPDX-License-Identifier: MIT
 * See state.h. Root changes nothing inside the directory, since its owner could have put a link there. */
#include "pg/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/log.h"
#include "base/mem.h"

static enum status failed(struct buf *why, const char *path)
{
	buf_addf(why, "%s: %s", path, strerror(errno));
	return ST_SYSTEM;
}

/* Parents get the usual mode; only the last directory is private. */
static bool make_path(const char *dir, bool *ret_made)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s", dir) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/';)
		path[--len] = '\0';
	for (char *p = path + 1; *p != '\0'; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0755) < 0 && errno != EEXIST)
				return false;
			*p = '/';
		}
	*ret_made = mkdir(path, 0700) == 0;
	return *ret_made || errno == EEXIST;
}

static bool is_empty(int fd)
{
	bool empty = true;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	if (d == NULL)
		return false;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = false;
	closedir(d);
	return empty;
}

/* Gives the user a directory that root has just made, or an empty one that an administrator or a container tool has
 * made. */
static enum status give_to_owner(int fd, const char *dir, bool made, const struct identity *owner, struct buf *why)
{
	struct stat st;
	struct identity holder = { .name = "somebody else" };
	if (fstat(fd, &st) < 0)
		return failed(why, dir);
	if (st.st_uid == owner->uid)
		return ST_OK;
	if (st.st_uid == 0 && (made || is_empty(fd))) {
		if (fchown(fd, owner->uid, owner->gid) < 0 || fchmod(fd, 0700) < 0)
			return failed(why, dir);
		return ST_OK;
	}
	identity_of(st.st_uid, &holder);
	buf_addf(why, "%s belongs to %s, not to %s: choose another directory, or give it away (chown -R %s)", dir,
		holder.name, owner->name, owner->name);
	return ST_REFUSED;
}

int state_make(const char *dir, const struct identity *owner, struct buf *why)
{
	bool made;
	int fd = -1;
	mode_t mask = umask(022); /* the parents aren't private */
	bool ok = make_path(dir, &made);
	umask(mask);
	if (!ok || (fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		failed(why, dir);
		buf_adds(why, " (--state chooses another state directory)");
	} else if (geteuid() == 0 && give_to_owner(fd, dir, made, owner, why) != ST_OK) {
		close(fd);
		fd = -1;
	}
	return fd;
}

char *state_name(const char *dir, int fd, struct buf *why)
{
	char link[64];
	char *real = realpath(dir, NULL);
	snprintf(link, sizeof(link), "/proc/%ld/fd/%d", (long)getpid(), fd);
	if (real == NULL && errno == EACCES) {
		log_info("%s is in a directory that its owner can't access: using %s", dir, link);
		real = mem_strdup(link);
	}
	if (real == NULL || access(real, R_OK | W_OK | X_OK) < 0) {
		failed(why, dir);
		free(real);
		return NULL;
	}
	return real;
}

enum status state_owner(const char *dir, const char *user, struct identity *ret, struct buf *why)
{
	struct stat st;
	bool found;
	if (user != NULL)
		found = identity_find(user, ret);
	else if (stat(dir, &st) == 0 && st.st_uid != 0)
		found = identity_of(st.st_uid, ret);
	else
		found = identity_find("postern", ret) || identity_find("postgres", ret);
	if (!found)
		buf_addf(why, "as root: %s%s",
			user != NULL ? "there is no user "
				     : "name the user to become with --user (there is neither postern nor postgres)",
			user != NULL ? user : "");
	else if (ret->uid == 0)
		buf_adds(why, "as root: the database never runs as root; name another user with --user");
	return found && ret->uid != 0 ? ST_OK : ST_REFUSED;
}

enum state_holder state_lock(const char *dir, bool as_server, int *ret_fd, long *ret_pid, struct buf *why)
{
	char path[PATH_MAX], kind[16] = "";
	snprintf(path, sizeof(path), "%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		failed(why, path);
		return STATE_ERROR;
	}
	*ret_pid = 0;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		if (ftruncate(fd, 0) < 0 ||
			dprintf(fd, "%s %ld\n", as_server ? "serve" : "command", (long)getpid()) <
				0) { /* only a hint for other processes */
		}
		*ret_fd = fd;
		return STATE_FREE;
	}
	if (errno != EWOULDBLOCK) {
		failed(why, path);
		close(fd);
		return STATE_ERROR;
	}
	FILE *f = fdopen(fd, "r");
	bool known = f != NULL && fscanf(f, "%15s %ld", kind, ret_pid) == 2;
	if (f != NULL)
		fclose(f);
	else
		close(fd);
	/* Not written yet: the other process has just started. */
	return known && strcmp(kind, "serve") == 0 ? STATE_SERVER : STATE_COMMAND;
}

void state_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
