/* SPDX-License-Identifier: MIT
 * See scratch.h. */
#include "scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

static char directory[] = "/tmp/pbXXXXXX";

void scratch_make(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chmod(directory, 0755), 0);
}

void scratch_remove(void) { run_shell(format("rm -rf %s", directory)); }

const char *scratch(void) { return directory; }

char *scratch_path(const char *name) { return format("%s/%s", directory, name); }

void expect_success(struct outcome o) { ck_assert_msg(o.status == 0, "status %d: %s", o.status, o.err); }

void expect_failure(struct outcome o, const char *reason)
{
	ck_assert_int_eq(o.status, 1);
	ck_assert_msg(strstr(o.err, reason) != NULL, "it doesn't say `%s`, but: %s", reason, o.err);
	ck_assert_str_eq(o.out, "");
}

bool file_exists(const char *path) { return access(path, F_OK) == 0; }

unsigned count_entries(const char *dir, const char *prefix)
{
	unsigned n = 0;
	DIR *d = opendir(dir);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	if (d != NULL)
		closedir(d);
	return n;
}

char *fresh_directory(const char *name)
{
	char *dir = scratch_path(name);
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	return dir;
}

char *read_file(const char *path, size_t *ret_len)
{
	FILE *f = fopen(path, "re");
	ck_assert_ptr_nonnull(f);
	fseek(f, 0, SEEK_END);
	*ret_len = (size_t)ftell(f);
	rewind(f);
	char *data = on_teardown(free, malloc(*ret_len + 1));
	ck_assert_uint_eq(fread(data, 1, *ret_len, f), *ret_len);
	fclose(f);
	return data;
}

void write_file(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

void run_shell(const char *command) { ck_assert_msg(system(command) == 0, "failed: %s", command); }
